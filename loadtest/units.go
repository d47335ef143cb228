package loadtest

import (
	"fmt"
	"math"
	"strings"
)

// showMs writes milliseconds with three digits and a unit.
func showMs(v float64) string {
	switch {
	case v == 0:
		return "0 ms"
	case v < 1:
		return digits(v*1000) + " µs"
	case v < 1000:
		return digits(v) + " ms"
	default:
		return digits(v/1000) + " s"
	}
}

// showCount writes a number of things, shortened from ten thousand on.
func showCount(v float64) string {
	switch {
	case v >= 9_999_500:
		return digits(v/1e6) + "M"
	case v >= 9_999.5:
		return digits(v/1e3) + "k"
	case v >= 99.95:
		return fmt.Sprintf("%.0f", v)
	default:
		return fmt.Sprintf("%.3g", v)
	}
}

func showBytes(v float64) string {
	for _, unit := range []string{"B", "KiB", "MiB"} {
		if v < 1024 {
			return digits(v) + " " + unit
		}
		v /= 1024
	}
	return digits(v) + " GiB"
}

// showShare writes a share as a percentage, and never a small one as 0.
func showShare(v float64) string {
	if v > 0 && v < 0.0001 {
		return "< 0.01 %"
	}
	// Rounding must not turn 99.996 % into 100.
	if v < 1 && v > 0.9999 {
		return "> 99.99 %"
	}
	text := fmt.Sprintf("%.2f", v*100)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".") + " %"
}

// digits writes three of them.
func digits(v float64) string {
	switch a := math.Abs(v); {
	case a >= 99.95 || v == math.Trunc(v):
		return fmt.Sprintf("%.0f", v)
	case a >= 9.995:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}
