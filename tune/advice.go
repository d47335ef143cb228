package tune

import (
	"fmt"
	"strings"

	"millrace/internal/kafka"
)

// Weights are prices, in any one currency. The command's defaults are about what the large clouds
// charge in dollars: a core-hour for 4 cents; a GB to another zone for a cent; a GB of disk for 8
// cents a month, kept for a week.
type Weights struct {
	// CPU is for an hour of one core.
	CPU float64 `json:"cpu_core_hour"`
	// Network is for a GB that goes from one machine to another.
	Network float64 `json:"network_gb"`
	// Disk is for a GB on one broker's disk, for its retention.
	Disk float64 `json:"disk_gb"`
}

// Day is the consumption of a day at the topic's rate with one setting, and its cost.
type Day struct {
	// CoreHours go into one compression, by the node, and two decompressions: the broker checks
	// every batch, and one consumer reads it.
	CoreHours float64 `json:"core_hours"`
	// Network is in GB: to the leader, from it to the other replicas, and to
	// one consumer. Disk is in GB over all replicas.
	Network float64 `json:"network_gb"`
	Disk    float64 `json:"disk_gb"`
	// The costs are those figures times their weights, and Cost is the sum.
	CPUCost     float64 `json:"cpu_cost"`
	NetworkCost float64 `json:"network_cost"`
	DiskCost    float64 `json:"disk_cost"`
	Cost        float64 `json:"cost"`
}

const (
	decompressions = 2
	secondsPerDay  = 86_400
)

func (r *Report) day(row *Row) Day {
	records := r.Rate * secondsPerDay
	gb := records * row.RecordBytes / 1e9
	d := Day{
		CoreHours: records / 1e6 * (row.CPU + decompressions*row.ReadCPU) / 3600,
		Network:   gb * float64(r.Replicas+1),
		Disk:      gb * float64(r.Replicas),
	}
	d.CPUCost, d.NetworkCost, d.DiskCost = d.CoreHours*r.Weights.CPU, d.Network*r.Weights.Network, d.Disk*r.Weights.Disk
	d.Cost = d.CPUCost + d.NetworkCost + d.DiskCost
	return d
}

// margin is how much dearer than the cheapest an advised setting may be, for its lower CPU:
// prices differ by more than that, and a peak needs spare CPU.
const margin = 0.10

// Advice is the setting to use.
type Advice struct {
	// Name is the row's.
	Name string `json:"name"`
	// Settings are the lines for the properties file.
	Settings []string `json:"settings"`
	// Change is the body of a PUT /admin/config that applies them at once.
	Change string `json:"change"`
	// Reason explains the advice, in two sentences.
	Reason string `json:"reason"`
}

// advise applies the rule: the setting that costs least a day; of those within the margin, the
// one that takes the node the least CPU.
func (r *Report) advise() {
	size := r.advised()
	best := pick(size.Rows)
	c := candidate{codec: kafka.Codec(best.Codec), level: best.Level}
	r.Advice = Advice{Name: best.Name, Settings: c.lines(), Reason: r.reason(size, best)}
	r.Advice.Change = fmt.Sprintf(`{"producer.compression.type":%q`, best.Codec)
	if best.Level != 0 {
		r.Advice.Change += fmt.Sprintf(`,"producer.compression.%s.level":%d`, best.Codec, best.Level)
	}
	r.Advice.Change += "}"
}

// advised is the size of batch that the advice rests on.
func (r *Report) advised() *Size {
	for _, s := range r.Sizes {
		if s.Advised {
			return s
		}
	}
	panic("BUG: no size to advise on")
}

func pick(rows []*Row) *Row {
	cheapest := rows[0]
	for _, row := range rows {
		if row.Day.Cost < cheapest.Day.Cost {
			cheapest = row
		}
	}
	best := cheapest
	for _, row := range rows {
		if row.Day.Cost <= cheapest.Day.Cost*(1+margin) && row.CPU < best.CPU {
			best = row
		}
	}
	return best
}

func (r *Report) reason(size *Size, best *Row) string {
	none := size.Rows[0]
	var cheapest, other *Row // of all, and of the other codecs
	for _, row := range size.Rows {
		if cheapest == nil || row.Day.Cost < cheapest.Day.Cost {
			cheapest = row
		}
		if row.Codec != best.Codec && row != none && (other == nil || row.Day.Cost < other.Day.Cost) {
			other = row
		}
	}
	if best == none {
		return fmt.Sprintf("At batches of %s no codec pays: %s, the least dear one, makes them %s times smaller for %s s of CPU per million records. It would cost %s a day in all, where none costs %s.",
			bytesOf(size.BatchBytes), other.Name, digits(other.Ratio), digits(other.CPU), digits(other.Day.Cost), digits(none.Day.Cost))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s makes batches of %s %s times smaller for %s s of CPU per million records, which at %s records/s takes %s GB a day off the network and %s GB off the disks. ",
		best.Name, bytesOf(size.BatchBytes), digits(best.Ratio), digits(best.CPU), count(int(r.Rate)),
		digits(none.Day.Network-best.Day.Network), digits(none.Day.Disk-best.Day.Disk))
	fmt.Fprintf(&b, "In all it costs %s a day (CPU %s, network %s, disk %s), where none costs %s, and ",
		digits(best.Day.Cost), digits(best.Day.CPUCost), digits(best.Day.NetworkCost), digits(best.Day.DiskCost), digits(none.Day.Cost))
	if best == cheapest {
		fmt.Fprintf(&b, "the next best codec, %s, %s.", other.Name, digits(other.Day.Cost))
	} else {
		fmt.Fprintf(&b, "the cheapest, %s, %s for %s times the CPU.", cheapest.Name, digits(cheapest.Day.Cost), digits(cheapest.CPU/best.CPU))
	}
	return b.String()
}
