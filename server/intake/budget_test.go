package intake

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"millrace/internal/apierr"
	"millrace/internal/fair"
)

// reader stands for a connection whose reading is ended by a deadline in the past.
type reader struct{ ended chan struct{} }

func newReader() *reader { return &reader{ended: make(chan struct{})} }

func (r *reader) SetReadDeadline(time.Time) error {
	close(r.ended)
	return nil
}

var callers sync.Map // of budgets and addresses

func callerOf(b *Budget, addr string) *fair.Holder {
	of, _ := callers.LoadOrStore([2]any{b, addr}, new(fair.Holder))
	return of.(*fair.Holder)
}

func begun(b *Budget, addr string) (*Body, *reader) {
	y, r := new(Body), newReader()
	b.Begin(y, callerOf(b, addr))
	y.Watch(r)
	return y, r
}

func TestSmallBodiesHaveAReserve(t *testing.T) {
	b := New(Settings{Memory: 4 << 20})
	large, _ := begun(b, "10.0.0.1")
	if err := large.Charge(3<<20, false); err != nil {
		t.Fatal(err)
	}
	if err := large.Charge(3<<20+1, false); !apierr.BodyTooLarge.Is(err) {
		t.Errorf("more than large bodies may have: %v", err)
	}
	other, _ := begun(b, "10.0.0.2")
	if err := other.Charge(Small+1, false); !apierr.BodiesFull.Is(err) {
		t.Errorf("a second large one: %v", err)
	}
	var small [16]Body
	for i := range small {
		b.Begin(&small[i], nil)
		if err := small[i].Charge(Small, false); err != nil {
			t.Fatal(i, err)
		}
	}
	if err := other.Charge(1, false); !apierr.BodiesFull.Is(err) {
		t.Errorf("beyond the budget: %v", err)
	}
	for i := range small {
		small[i].Release()
	}
	large.Release()
	other.Release()
	if s := b.Stats(); s.Used != 0 || s.Refused != 2 || len(b.ofLarge) != 0 || len(b.arriving) != 0 {
		t.Errorf("in the end %+v, %v", s, b.ofLarge)
	}
}

// A client that sends less than the least rate over a time of grace is cut, one that pauses
// within it is not.
func TestLeastRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Settings{MinRate: 1000, Grace: 4 * time.Second})
		slow, ended := begun(b, "10.0.0.1")
		pausing, other := begun(b, "10.0.0.1")
		for i := range 64 { // 16 s
			time.Sleep(look)
			slow.Progress(i * 200) // 800 a second
			if i%16 == 0 {
				pausing.Progress(i/16*5000 + 5000)
			}
			b.look(time.Now())
		}
		if slow.Cut() != apierr.SlowRequest || pausing.Cut() != nil || b.Stats().Slow != 1 {
			t.Errorf("slow: %v, pausing: %v", slow.Cut(), pausing.Cut())
		}
		<-ended.ended
		select {
		case <-other.ended:
			t.Error("the one that pauses was woken")
		default:
		}
	})
}

// The slowest body is cut for one that is much faster, which waits for its room; bodies
// that are about as fast as one another are not cut.
func TestShortage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(Settings{Memory: 4 << 20})
		stalled, ended := begun(b, "10.0.0.1")
		steady, _ := begun(b, "10.0.0.2")
		for _, y := range []*Body{stalled, steady} {
			if err := y.Charge(1<<20, false); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 40 {
			time.Sleep(look)
			steady.Progress(i * 100_000)
			b.look(time.Now())
		}
		var leaving sync.WaitGroup
		leaving.Go(func() {
			<-ended.ended
			time.Sleep(10 * time.Millisecond)
			stalled.Release()
		})
		came := time.Now()
		newer, _ := begun(b, "10.0.0.3")
		if err := newer.Charge(2<<20, true); err != nil || time.Since(came) != 10*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(came))
		}
		leaving.Wait()
		next, _ := begun(b, "10.0.0.4")
		if err := next.Charge(1<<20, true); !apierr.BodiesFull.Is(err) || steady.Cut() != nil || newer.Cut() != nil {
			t.Errorf("one that finds nobody slow: %v", err)
		}
		if s := b.Stats(); s.Displaced != 1 || s.Used != 3<<20 || b.cutting != 0 {
			t.Errorf("%+v, %d", s, b.cutting)
		}
	})
}

// A small body that is cut while it charges more is accounted for as what it then holds: its end
// leaves nothing of it among the bytes that are about to be let go.
func TestCutWhileCharging(t *testing.T) {
	b := New(Settings{Memory: 4 << 20, MinRate: 1000, Grace: time.Second})
	y, _ := begun(b, "10.0.0.1")
	if err := y.Charge(16<<10, false); err != nil {
		t.Fatal(err)
	}
	b.look(time.Now().Add(2 * time.Second))
	if y.Cut() == nil {
		t.Fatal("the body was not cut")
	}
	if err := y.Charge(32<<10, false); !apierr.SlowRequest.Is(err) { // for bytes that came before
		t.Errorf("it is charged more: %v", err)
	}
	y.Release()
	if b.cutting != 0 || b.used.Held() != 0 {
		t.Errorf("%d bytes are about to be let go, %d charged", b.cutting, b.used.Held())
	}
}

// Memory goes back once after much use, not while bursts come again and again.
func TestSettled(t *testing.T) {
	b := New(Settings{Memory: 4 << 20})
	settled := 0
	burst := func(looks int) {
		var y Body
		b.Begin(&y, nil)
		if err := y.Charge(2<<20, false); err != nil {
			t.Fatal(err)
		}
		b.look(time.Now())
		y.Release()
		for range looks {
			if b.look(time.Now()) {
				settled++
			}
		}
	}
	for range 10 {
		burst(quiet - 1)
	}
	if settled != 0 {
		t.Errorf("%d times between bursts", settled)
	}
	if burst(10 * quiet); settled != 1 {
		t.Errorf("%d times in the end", settled)
	}
}

// Room is ample only while half of the budget stays free, and what is asked for is little of it.
func TestAmple(t *testing.T) {
	b := New(Settings{Memory: 64 << 20})
	var y, other Body
	b.Begin(&y, nil)
	b.Begin(&other, nil)
	if !y.Ample(1<<20) || y.Ample(5<<20) {
		t.Error("of an empty budget of 64 MiB, 1 MiB must be ample and 5 not")
	}
	if err := other.Charge(24<<20, false); err != nil {
		t.Fatal(err)
	}
	if y.Ample(1 << 20) {
		t.Error("half of the budget is used, and 1 MiB is ample")
	}
	other.Release()
	if !y.Ample(1 << 20) {
		t.Error("the budget is empty again, and 1 MiB is not ample")
	}
}
