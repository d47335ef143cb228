package json

// mark makes the masks of the blocks that text consists of, one at least. Only machines that
// [canList] have it.
func mark(list *[markedBlocks]marks, text []byte) { markAVX2(&list[0], &text[0], len(text)/blockBytes) }

// markAVX2 is written in assembly.
//
//go:noescape
func markAVX2(list *marks, text *byte, blocks int)
