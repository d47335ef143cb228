#include "textflag.h"

// STORE stores a mask of the block's 64 bytes: the top bits of those in LOW, then in HIGH.
#define STORE(LOW, HIGH, OFFSET) \
	VPMOVMSKB LOW, AX      \
	VPMOVMSKB HIGH, BX     \
	SHLQ      $32, BX      \
	ORQ       BX, AX       \
	MOVQ      AX, OFFSET(DI)

// MARK stores a mask of the bytes that are CHAR.
#define MARK(CHAR, OFFSET) \
	VPCMPEQB CHAR, Y0, Y2 \
	VPCMPEQB CHAR, Y1, Y3 \
	STORE(Y2, Y3, OFFSET)

// FILL sets each byte of Y to that of which PATTERN is made.
#define FILL(PATTERN, X, Y) \
	MOVQ         PATTERN, AX \
	VMOVQ        AX, X       \
	VPBROADCASTQ X, Y

// func markAVX2(list *marks, text *byte, blocks int)
//
// DI: where the next block's masks go. SI: the text. CX: blocks to do.
TEXT ·markAVX2(SB), NOSPLIT, $0-24
	MOVQ list+0(FP), DI
	MOVQ text+8(FP), SI
	MOVQ blocks+16(FP), CX
	FILL($0x2222222222222222, X8, Y8)
	FILL($0x5C5C5C5C5C5C5C5C, X9, Y9)
	FILL($0x1F1F1F1F1F1F1F1F, X10, Y10)
	FILL($0x3A3A3A3A3A3A3A3A, X11, Y11)
	FILL($0x2C2C2C2C2C2C2C2C, X12, Y12)
	FILL($0x7B7B7B7B7B7B7B7B, X13, Y13)
	FILL($0x7D7D7D7D7D7D7D7D, X14, Y14)

	VPCMPEQB     Y15, Y15, Y15

block:
	VMOVDQU (SI), Y0
	VMOVDQU 32(SI), Y1
	MARK(Y8, 0)

	// Times all ones without carries: each bit becomes the parity of the quotes up to it.
	VMOVQ      AX, X2
	VPCLMULQDQ $0, X15, X2, X2
	VMOVQ      X2, 8(DI)
	MARK(Y11, 16)
	MARK(Y12, 24)
	MARK(Y13, 32)
	MARK(Y14, 40)

	// What the fast check does not know: backslashes and control characters.
	VPCMPEQB Y9, Y0, Y2
	VPCMPEQB Y9, Y1, Y3
	VPMINUB  Y10, Y0, Y4
	VPMINUB  Y10, Y1, Y5
	VPCMPEQB Y4, Y0, Y4
	VPCMPEQB Y5, Y1, Y5
	VPOR     Y4, Y2, Y2
	VPOR     Y5, Y3, Y3
	STORE(Y2, Y3, 48)
	STORE(Y0, Y1, 56)
	ADDQ     $64, DI
	ADDQ     $64, SI
	DECQ     CX
	JNE      block
	VZEROUPPER
	RET
