package json

import "golang.org/x/sys/cpu"

// canList reports whether the machine has the instructions of stops_amd64.s and marks_amd64.s, as
// servers since 2013 do.
var canList = cpu.X86.HasAVX2 && cpu.X86.HasBMI1 && cpu.X86.HasPOPCNT && cpu.X86.HasPCLMULQDQ

// listStops lists the stops of the blocks that text consists of, one at least, until there are
// fullList. It returns how many there are, in how many blocks, and a bit for each of those that has
// a byte past ASCII.
func listStops(list *stopList, text []byte) (n, done int, wide uint32) {
	return listStopsAVX2(&list[0], &text[0], len(text)/blockBytes)
}

// listStopsAVX2 is written in assembly.
//
//go:noescape
func listStopsAVX2(list *uint16, text *byte, blocks int) (n, done int, wide uint32)
