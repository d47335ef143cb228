//go:build checked || race

package pool

// Checked says that the lifetime checks are compiled in.
const Checked = true
