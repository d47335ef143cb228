//go:build !amd64

package json

// canList is true where stops can be listed faster than they are found by words.
var canList = false

func listStops(*stopList, []byte) (n, done int, wide uint32) { panic("BUG: no stops are listed") }

func mark(*[markedBlocks]marks, []byte) { panic("BUG: nothing is marked") }
