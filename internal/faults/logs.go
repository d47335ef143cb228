package faults

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// entry matches the first line of what a broker logs at once; a stack trace follows it.
var entry = regexp.MustCompile(`^\[?\S*.*\b(WARN|ERROR)\b `)

// alarming tells of entries that somebody should look at: errors, and exceptions of any level.
var alarming = regexp.MustCompile(`\bERROR\b|Exception\b|\bError:`)

// excused are entries that brokers log because one of them, or a controller, is gone, and
// nothing that a client sends causes. Anything else is a failure of the schedule.
var excused = []*regexp.Regexp{
	// Followers that cannot reach their leader, and controllers and brokers each other.
	regexp.MustCompile(`^\S+ \[ReplicaFetcherThread-`),
	regexp.MustCompile(`^\S+ \[kafka-\d+-raft-`),
	regexp.MustCompile(`^\S+ \[broker-\d+-to-controller`),
	// A controller that is one no more, and is still asked as if it were.
	regexp.MustCompile(`(?s)^\S+ \S+ ERROR kafka.server.ControllerApis .*NotControllerException`),
	// A coordinator that lost its partition while it read it.
	regexp.MustCompile(`(?s)CoordinatorRuntime .*NotLeaderOrFollowerException`),
	// Too few replicas are in sync for a write.
	regexp.MustCompile(`NotEnoughReplicas(AfterAppend)?Exception`),
	// The machine is busy.
	regexp.MustCompile(`Exceptionally slow controller event|controller event queue overloaded`),
}

// LogsSince returns the alarming entries that the brokers have logged since it was called last
// and that neither a broken peer explains nor allowed matches. Those that differ in figures alone
// are counted.
func (c *Cluster) LogsSince(allowed *regexp.Regexp) (alarms []string, err error) {
	times, examples := map[string]int{}, map[string]string{}
	for i, k := range c.Brokers {
		text, err := k.Log()
		if err != nil {
			return nil, fmt.Errorf("cannot read the log of broker %d: %w", i+1, err)
		}
		fresh := string(text[c.logs[i]:])
		c.logs[i] = len(text)
		for _, e := range alarmsIn(fresh, allowed) {
			kind := figures.ReplaceAllString(brief(e), "#")
			times[kind]++
			examples[kind] = fmt.Sprintf("broker %d: %s", i+1, brief(e))
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(times)) {
		alarms = append(alarms, fmt.Sprintf("%s (%d times)", examples[kind], times[kind]))
	}
	return alarms, nil
}

// figures are what entries of one kind differ in.
var figures = regexp.MustCompile(`\d+`)

// entries cuts a log into what was logged at once.
func entries(log string) (all []string) {
	for line := range strings.Lines(log) {
		if entry.MatchString(line) || len(all) == 0 {
			all = append(all, line)
		} else {
			all[len(all)-1] += line
		}
	}
	return all
}

// refusedAppend finds the partition whose append a broker refused.
var refusedAppend = regexp.MustCompile(`Error processing append operation on partition (\S+)`)

// alarmsIn returns the entries of a log that nothing excuses. A broker that refuses a batch finds
// those of the same partition behind it, which were in flight already, out of sequence: they are
// excused by an excused refusal before them, and by nothing else.
func alarmsIn(log string, allowed *regexp.Regexp) (alarms []string) {
	refused := map[string]bool{}
	for _, e := range entries(log) {
		if !alarming.MatchString(e) {
			continue
		}
		var partition string
		if m := refusedAppend.FindStringSubmatch(e); m != nil {
			partition = m[1]
		}
		switch {
		case excuse(e, allowed):
			refused[partition] = true
		case partition == "" || !refused[partition] || !strings.Contains(e, "OutOfOrderSequenceException"):
			alarms = append(alarms, e)
		}
	}
	return alarms
}

func excuse(e string, allowed *regexp.Regexp) bool {
	if allowed != nil && allowed.MatchString(e) {
		return true
	}
	for _, re := range excused {
		if re.MatchString(e) {
			return true
		}
	}
	return false
}

// brief is the head of an entry: what it says, and the exception if there is one.
func brief(e string) string {
	lines := strings.SplitN(e, "\n", 3)
	for i, line := range lines[:min(2, len(lines))] {
		lines[i] = line[:min(len(line), 300)]
	}
	return strings.TrimSpace(strings.Join(lines[:min(2, len(lines))], " / "))
}
