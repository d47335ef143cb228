package json

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"millrace/internal/testkit"
)

// byWordsOnly has f run without the list of stops, as on machines that cannot make it.
func byWordsOnly(f func()) {
	was := canList
	canList = false
	defer func() { canList = was }()
	f()
}

// The list has all stops of its blocks and nothing else, and tells which blocks are not ASCII.
func TestListStops(t *testing.T) {
	if !canList {
		t.Log("this machine goes by words")
		return
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		text := make([]byte, (1+r.IntN(maxBlocks))*blockBytes)
		alphabet := []string{"\"\\\x00\x1f\x20\x21\x23\x5b\x5d\x7f\x80\xa2\xdc\xff", "abcdefgh\"", "\"", "ab"}[r.IntN(4)]
		for i := range text {
			text[i] = alphabet[r.IntN(len(alphabet))]
		}
		if len(alphabet) == 2 {
			text[r.IntN(len(text))] = byte(r.Uint32())
		}
		var list stopList
		n, done, wide := listStops(&list, text)
		if done != len(text)/blockBytes && n < fullList {
			t.Fatalf("%d stops of %d blocks: %q", n, done, text)
		}
		listed := list[:n]
		for i, c := range text[:done*blockBytes] {
			if c >= 0x80 && wide>>(i/blockBytes)&1 == 0 {
				t.Fatalf("block %d is not ASCII: %q", i/blockBytes, text)
			}
			if c != '"' && c != '\\' && c >= ' ' {
				continue
			}
			if len(listed) == 0 || listed[0] != uint16(i) {
				t.Fatalf("no stop at %d: %v of %q", i, list[:n], text)
			}
			listed = listed[1:]
		}
		if len(listed) > 0 {
			t.Fatalf("%v are no stops of %q", listed, text)
		}
		for k := range done {
			if ascii := bytes.IndexFunc(text[k*blockBytes:][:blockBytes], func(r rune) bool { return r >= 0x80 }) < 0; ascii && wide>>k&1 == 1 {
				t.Fatalf("block %d is ASCII: %q", k, text)
			}
		}
	}
}

// With the list of stops and without it, the same is found of real records, of each of their
// beginnings, and of what is made of them by changing a byte.
func TestListAndWords(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	check := func(text []byte) {
		t.Helper()
		end, spaced, err := Scan(text, 0)
		byWordsOnly(func() {
			wordsEnd, wordsSpaced, wordsErr := Scan(text, 0)
			if end != wordsEnd || spaced != wordsSpaced || (err == nil) != (wordsErr == nil) || err != nil && err.Error() != wordsErr.Error() {
				t.Fatalf("Scan(%q) = %d, %v, %v; by words %d, %v, %v", text, end, spaced, err, wordsEnd, wordsSpaced, wordsErr)
			}
		})
	}
	records := testkit.RealRecords(t)
	for _, record := range records[:min(len(records), 60)] {
		text := bytes.Clone(record)
		check(text)
		for range 200 {
			check(text[:1+r.IntN(len(text))])
			i := r.IntN(len(text))
			was := text[i]
			text[i] = "\"\\{}[],: \n\x00\x80\xff\xc3a1"[r.IntN(16)]
			check(text)
			text[i] = was
		}
	}
	for n := range 300 {
		check([]byte(`{"a":"` + string(bytes.Repeat([]byte("x"), n)) + `","b":"é","c":"` + string(bytes.Repeat([]byte(`\"`), n)) + `"}`))
		check([]byte(`"` + string(bytes.Repeat([]byte("x"), n)) + "\xff\""))
	}
}
