package loadtest

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// clockTicks is USER_HZ, in which Linux counts a process's CPU time on every
// architecture that Go runs on.
const clockTicks = 100

// Usage is the CPU and memory of a process over the run.
type Usage struct {
	PID int `json:"pid"`
	// CPUSeconds is the CPU time used while the figures were taken.
	CPUSeconds float64 `json:"cpu_seconds"`
	// Cores is CPUSeconds by elapsed time: 1 is one core all the time.
	Cores float64 `json:"cores"`
	// PerRequest is the CPU time by answered request, in microseconds, of a run
	// with one flow.
	PerRequest float64       `json:"cpu_us_per_request,omitempty"`
	PeakRSS    int64         `json:"peak_rss_bytes"`
	Samples    []UsageSample `json:"samples"`
}

// UsageSample is what a process used in about one second.
type UsageSample struct {
	At    float64 `json:"at_seconds"`
	Cores float64 `json:"cores"`
	RSS   int64   `json:"rss_bytes"`
}

// usageMeter samples one process; it belongs to one goroutine.
type usageMeter struct {
	pid         int
	start, last time.Time // last: of the latest of samples
	first, cpu  time.Duration
	end         time.Time // when total was read
	total       time.Duration
	samples     []UsageSample
	peak        int64
}

// newUsageMeter begins at now; the error says that there is no such process,
// or no /proc.
func newUsageMeter(pid int, now time.Time) (*usageMeter, error) {
	cpu, rss, err := readUsage(pid)
	if err != nil {
		return nil, err
	}
	return &usageMeter{pid: pid, start: now, last: now, end: now, first: cpu, cpu: cpu, total: cpu, peak: rss}, nil
}

// sample takes the next sample, and does nothing when the process is gone.
func (m *usageMeter) sample(now time.Time) {
	cpu, rss, err := readUsage(m.pid)
	took := now.Sub(m.last)
	if err != nil {
		return
	}
	m.peak, m.total = max(m.peak, rss), cpu
	// The last stretch of a run may be too short for the kernel's ticks.
	if m.end = now; took < 500*time.Millisecond {
		return
	}
	m.samples = append(m.samples, UsageSample{
		At: now.Sub(m.start).Seconds(), Cores: (cpu - m.cpu).Seconds() / took.Seconds(), RSS: rss,
	})
	m.last, m.cpu = now, cpu
}

func (m *usageMeter) usage() *Usage {
	u := &Usage{PID: m.pid, CPUSeconds: (m.total - m.first).Seconds(), PeakRSS: m.peak, Samples: m.samples}
	if took := m.end.Sub(m.start).Seconds(); took > 0 {
		u.Cores = u.CPUSeconds / took
	}
	return u
}

// readUsage reads a process's CPU time so far and resident bytes.
func readUsage(pid int) (cpu time.Duration, rss int64, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, fmt.Errorf("cannot read the usage of process %d: %w", pid, err)
	}
	// The name, in parentheses, may hold blanks and parentheses itself.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	const utime, stime, rssPages = 11, 12, 21 // behind the name
	if len(fields) <= rssPages {
		return 0, 0, fmt.Errorf("cannot read the usage of process %d: its stat has %d fields", pid, len(fields))
	}
	var ticks int64
	for _, i := range []int{utime, stime} {
		v, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return 0, 0, fmt.Errorf("cannot read the usage of process %d: %w", pid, err)
		}
		ticks += v
	}
	pages, err := strconv.ParseInt(fields[rssPages], 10, 64)
	if err != nil {
		return 0, 0, fmt.Errorf("cannot read the usage of process %d: %w", pid, err)
	}
	return time.Duration(ticks) * time.Second / clockTicks, pages * int64(os.Getpagesize()), nil
}
