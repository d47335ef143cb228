package faults_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"millrace/internal/faults"
	"millrace/internal/testkit"
)

// TestFaults runs the schedules: MILLRACE_FAULTS=short those of CI, full all, anything else those
// whose name it matches as a regular expression. full writes the table of docs/reliability.md as
// well, and with MILLRACE_FAULTS_WRITE any run its own rows. MILLRACE_FAULTS_SEED has the clients
// send what they sent in a run before.
func TestFaults(t *testing.T) {
	testkit.OnDemand(t, "MILLRACE_FAULTS", "nothing was broken under load: that takes three brokers and minutes; `make faults-short` does, and `make faults` all of it")
	which := os.Getenv("MILLRACE_FAULTS")
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("MILLRACE_FAULTS_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("MILLRACE_FAULTS_SEED is %q", text)
		}
	}
	t.Logf("MILLRACE_FAULTS_SEED=%d", seed)
	c := faults.StartCluster(t, true)
	program := faults.Program(t)
	var results []faults.Result
	for _, s := range faults.Schedules {
		if !wanted(s, which) {
			continue
		}
		if s.Disk && c.Disk == "" {
			fmt.Fprintf(os.Stderr, "\n*** %q was left out: this system mounts no disk for a broker ***\n\n", s.Name)
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			began := time.Now()
			r := s.Execute(t, c, program, seed)
			results = append(results, r)
			if which == "full" || os.Getenv("MILLRACE_FAULTS_WRITE") != "" {
				write(t, results) // at once: a run that is ended has its rows
			}
			t.Logf("%v\n%s", time.Since(began).Round(time.Second), faults.Table([]faults.Result{r}))
			for _, f := range r.Failures() {
				t.Error(f)
			}
		})
	}
	fmt.Print(faults.Table(results))
}

func wanted(s faults.Schedule, which string) bool {
	switch which {
	case "short":
		return s.Short
	case "full":
		return true
	}
	return regexp.MustCompile(which).MatchString(s.Name)
}

// write puts the results into the table of the document.
func write(t *testing.T, results []faults.Result) {
	t.Helper()
	root, err := testkit.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	if err := faults.WriteTable(filepath.Join(root, "docs", "reliability.md"), results); err != nil {
		t.Fatal(err)
	}
}
