package faults_test

import (
	"fmt"
	"os"
	"regexp"
	"testing"

	"millrace/internal/faults"
)

// TestFaults runs the schedules: MILLRACE_FAULTS=short those of CI, full all, anything else those whose
// name it matches as a regular expression. `make faults` and `make faults-short` run it.
func TestFaults(t *testing.T) {
	which := os.Getenv("MILLRACE_FAULTS")
	if which == "" {
		t.Skip("make faults-short runs this: three brokers, minutes")
	}
	wanted := func(s faults.Schedule) bool { return regexp.MustCompile(which).MatchString(s.Name) }
	switch which {
	case "short":
		wanted = func(s faults.Schedule) bool { return s.Short }
	case "full":
		wanted = func(faults.Schedule) bool { return true }
	}
	c := faults.StartCluster(t)
	program := faults.Program(t)
	var results []faults.Result
	for _, s := range faults.Schedules {
		if !wanted(s) || s.Disk && c.Disk == "" {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			r := s.Execute(t, c, program)
			results = append(results, r)
			for _, f := range r.Failures() {
				t.Error(f)
			}
		})
	}
	fmt.Print(faults.Table(results))
}
