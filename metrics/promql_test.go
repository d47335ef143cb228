package metrics

import (
	"slices"
	"strings"
	"testing"

	"github.com/VictoriaMetrics/metricsql"
)

// overTime are functions of PromQL that take a range.
var overTime = []string{
	"rate", "irate", "increase", "delta", "idelta", "deriv", "predict_linear", "changes", "resets",
	"avg_over_time", "min_over_time", "max_over_time", "sum_over_time", "count_over_time", "quantile_over_time", "last_over_time",
}

// atOnce are the other functions of PromQL that we use.
var atOnce = []string{
	"histogram_quantile", "histogram_count", "histogram_sum", "histogram_avg", "histogram_fraction",
	"clamp_min", "clamp_max", "abs", "ceil", "floor", "round", "vector", "scalar", "time", "absent", "label_replace", "label_join", "sort", "sort_desc",
}

// grammar fails unless expr is PromQL. The parser is that of MetricsQL, which is small and allows
// a little more; this function refuses the extensions.
func grammar(t *testing.T, where, expr string) {
	t.Helper()
	if fault := faultOf(expr); fault != "" {
		t.Errorf("%s: %q %s", where, expr, fault)
	}
}

func faultOf(expr string) (fault string) {
	// The variables that Grafana fills in.
	filled := strings.NewReplacer("$__rate_interval", "5m", "$__interval", "1m", "$__range", "1h").Replace(expr)
	parsed, err := metricsql.Parse(filled)
	if err != nil {
		return "does not parse: " + err.Error()
	}
	metricsql.VisitAll(parsed, func(e metricsql.Expr) {
		call, ok := e.(*metricsql.FuncExpr)
		if !ok {
			return
		}
		name := strings.ToLower(call.Name)
		switch {
		case slices.Contains(overTime, name):
			ranged := slices.ContainsFunc(call.Args, func(arg metricsql.Expr) bool {
				r, ok := arg.(*metricsql.RollupExpr)
				return ok && r.Window != nil
			})
			if !ranged {
				fault = "has no range for " + name
			}
		case !slices.Contains(atOnce, name):
			fault = "uses " + name + ", which is no function of PromQL, or is not in this test's list yet"
		}
	})
	return fault
}

func TestGrammarOfQueries(t *testing.T) {
	f := func(expr, want string) {
		t.Helper()
		if have := faultOf(expr); (have == "") != (want == "") || !strings.Contains(have, want) {
			t.Errorf("%q: have %q, want %q", expr, have, want)
		}
	}
	f(`sum by (route) (rate(a_total{code=~"5.."}[5m])) / sum by (route) (rate(a_total[$__rate_interval])) > 0.5 and b unless on (x) c`, "")
	f(`histogram_quantile(0.99, sum(rate(a[5m])))`, "")
	f(`sum(rate(a[5m])`, "does not parse")
	f(`sum by route (a)`, "does not parse")
	f(`a{code=~"5.."`, "does not parse")
	f(`a{code=5}`, "does not parse")
	f(`rate(a[5 minutes])`, "does not parse")
	f(`rate(a)`, "has no range for rate")
	f(`range_quantile(0.5, a)`, "range_quantile")
}
