#include "textflag.h"

// STOPS sets a bit of MASK for each of the 32 bytes in TEXT that is a quote, a backslash or at most
// 0x1F.
#define STOPS(TEXT, MASK) \
	VPCMPEQB  Y8, TEXT, Y2   \
	VPCMPEQB  Y9, TEXT, Y3   \
	VPMINUB   Y10, TEXT, Y4  \
	VPCMPEQB  Y4, TEXT, Y4   \
	VPOR      Y3, Y2, Y2     \
	VPOR      Y4, Y2, Y2     \
	VPMOVMSKB Y2, MASK

// LIST appends the place of the lowest bit in AX, and takes the bit out.
#define LIST(OFFSET) \
	TZCNTQ AX, R8       \
	BLSRQ  AX, AX       \
	ADDL   DX, R8       \
	MOVW   R8, OFFSET(DI)

// func listStopsAVX2(list *uint16, text *byte, blocks int) (n, done int, wide uint32)
//
// DI: where the next place goes. SI: the text. CX: blocks done. DX: bytes done. R9: stops so far.
TEXT ·listStopsAVX2(SB), NOSPLIT, $0-44
	MOVQ         list+0(FP), DI
	MOVQ         text+8(FP), SI
	MOVQ         blocks+16(FP), R11
	MOVQ         $0x2222222222222222, AX
	VMOVQ        AX, X8
	VPBROADCASTQ X8, Y8
	MOVQ         $0x5C5C5C5C5C5C5C5C, AX
	VMOVQ        AX, X9
	VPBROADCASTQ X9, Y9
	MOVQ         $0x1F1F1F1F1F1F1F1F, AX
	VMOVQ        AX, X10
	VPBROADCASTQ X10, Y10
	XORL         CX, CX
	XORL         DX, DX
	XORL         R9, R9
	XORL         R10, R10

block:
	VMOVDQU   (SI)(DX*1), Y0
	VMOVDQU   32(SI)(DX*1), Y1
	STOPS(Y0, AX)
	STOPS(Y1, BX)
	SHLQ      $32, BX
	ORQ       BX, AX
	VPOR      Y0, Y1, Y0
	VPMOVMSKB Y0, BX
	XORL      R8, R8
	TESTL     BX, BX
	SETNE     R8
	SHLL      CX, R8
	ORL       R8, R10
	POPCNTQ   AX, BX
	ADDQ      BX, R9

	// Most blocks have up to eight stops. To list more than there are costs less than to
	// foresee how many there are; what is too much is overwritten.
	LIST(0)
	LIST(2)
	LIST(4)
	LIST(6)
	LIST(8)
	LIST(10)
	LIST(12)
	LIST(14)
	CMPL BX, $8
	JLE  listed
	LEAQ 16(DI), R12

more:
	TZCNTQ AX, R8
	BLSRQ  AX, AX
	ADDL   DX, R8
	MOVW   R8, (R12)
	ADDQ   $2, R12
	TESTQ  AX, AX
	JNE    more

listed:
	LEAQ (DI)(BX*2), DI
	INCL CX
	ADDL $64, DX
	CMPQ CX, R11
	JGE  end
	CMPQ R9, $128
	JLT  block

end:
	MOVQ R9, n+24(FP)
	MOVQ CX, done+32(FP)
	MOVL R10, wide+40(FP)
	VZEROUPPER
	RET
