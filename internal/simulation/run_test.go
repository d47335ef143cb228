package simulation

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"millrace/internal/testkit"
	"millrace/loadtest/check"
	"millrace/pool"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// verbose shows all that happens in a world.
var verbose = os.Getenv("MILLRACE_SIMULATION_LOG") != ""

// scenario is what runs in a world, on which events of some kinds fall.
type scenario struct {
	kinds  []kind
	run    func(w *world, s schedule) []string
	modern bool // the brokers are
}

// outcome is one run of a seed.
type outcome struct {
	schedule schedule
	problems []string
	print    uint64 // of the history
}

// once runs a seed, without the events of its schedule that keep refuses.
func once(t *testing.T, sc scenario, seed uint64, keep func(i int) bool) (out outcome) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil {
			panic(fmt.Sprintf("seed %d: %v\n%s", seed, r, out.schedule))
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, seed, sc.modern)
		for i, e := range newSchedule(seed, w.nodes, sc.kinds) {
			if keep(i) {
				out.schedule = append(out.schedule, e)
			}
		}
		out.problems = sc.run(w, out.schedule)
		out.print = fingerprint(w.history)
	})
	return out
}

// seeds returns those to run: n of them unless the environment says otherwise.
func seeds(t *testing.T, n uint64) (from, to uint64) {
	t.Helper()
	number := func(name string) (uint64, bool) {
		text := os.Getenv(name)
		if text == "" {
			return 0, false
		}
		v, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return v, true
	}
	if seed, ok := number("MILLRACE_SEED"); ok {
		return seed, seed + 1
	}
	if pool.Checked { // with the race detector each takes ten times as long
		n = n/10 + 1
	}
	if many, ok := number("MILLRACE_SEEDS"); ok {
		n = many
	}
	first, _ := number("MILLRACE_SEED_FROM")
	return first, first + n
}

// simulate runs seeds until some have failed.
func simulate(t *testing.T, n uint64, sc scenario) {
	t.Helper()
	from, to := seeds(t, n)
	failed := 0
	for seed := from; seed < to && failed < maxFailed; seed++ {
		out := once(t, sc, seed, func(int) bool { return true })
		if len(out.problems) == 0 {
			continue
		}
		failed++
		report(t, sc, seed, out)
	}
}

// maxFailed seeds are reported.
const maxFailed = 10

// report fails the test, with the shortest schedule that fails.
func report(t *testing.T, sc scenario, seed uint64, out outcome) {
	t.Helper()
	drop := map[int]bool{}
	full := out
	for i := range full.schedule {
		drop[i] = true
		again := outcome{}
		for try := 0; try < 5 && len(again.problems) == 0; try++ {
			again = once(t, sc, seed, func(i int) bool { return !drop[i] })
		}
		if len(again.problems) == 0 {
			delete(drop, i)
			continue
		}
		out = again
	}
	t.Errorf("seed %d:\n  %s\nThe schedule, without %d events that are not needed:\n%sIt is run again by\n  MILLRACE_SEED=%d go test ./internal/simulation -count=1 -run '^%s$'",
		seed, strings.Join(full.problems, "\n  "), len(drop), out.schedule, seed, t.Name())
}

func TestProduce(t *testing.T) {
	simulate(t, 40, scenario{kinds: writing, run: producing})
}

// fingerprint is a hash of what clients did and were told, without the times.
func fingerprint(h *check.History) uint64 {
	sum := fnv.New64a()
	ops := h.Ops()
	slices.SortFunc(ops, func(a, b check.Op) int { return cmp.Or(cmp.Compare(a.Client, b.Client), cmp.Compare(a.Seq, b.Seq)) })
	for _, op := range ops {
		fmt.Fprintln(sum, op.Kind, op.Client, op.Seq, op.Outcome, op.Records, op.Page, op.Positions)
	}
	return sum.Sum64()
}
