//go:build checked || race

package pool

// Checked reports that the lifetime checks are compiled in.
const Checked = true
