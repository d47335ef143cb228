// Package lab holds the instruments of the laboratory: what bench, loadtest and
// tune measure with.
package lab
