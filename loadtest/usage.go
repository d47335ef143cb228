package loadtest

import (
	"time"

	"millrace/internal/lab"
)

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
	u, err := lab.ReadUsage(pid)
	if err != nil {
		return nil, err
	}
	return &usageMeter{pid: pid, start: now, last: now, end: now, first: u.CPU, cpu: u.CPU, total: u.CPU, peak: u.RSS}, nil
}

// sample takes the next sample, and does nothing when the process is gone.
func (m *usageMeter) sample(now time.Time) {
	u, err := lab.ReadUsage(m.pid)
	took := now.Sub(m.last)
	if err != nil {
		return
	}
	m.peak, m.total = max(m.peak, u.RSS), u.CPU
	// The last stretch of a run may be too short for the kernel's ticks.
	if m.end = now; took < 500*time.Millisecond {
		return
	}
	m.samples = append(m.samples, UsageSample{
		At: now.Sub(m.start).Seconds(), Cores: (u.CPU - m.cpu).Seconds() / took.Seconds(), RSS: u.RSS,
	})
	m.last, m.cpu = now, u.CPU
}

func (m *usageMeter) usage() *Usage {
	u := &Usage{PID: m.pid, CPUSeconds: (m.total - m.first).Seconds(), PeakRSS: m.peak, Samples: m.samples}
	if took := m.end.Sub(m.start).Seconds(); took > 0 {
		u.Cores = u.CPUSeconds / took
	}
	return u
}
