//go:build !race

package avro

import (
	"bytes"
	"encoding/json"
	"math/big"
	"regexp"
	"slices"
	"strings"

	"millrace/codec"
)

// javaDifference is a deliberate difference from Java; docs/avro.md lists them for users. Those
// without explains are oddities of a text, which straighten removes: Java agrees once they are
// removed.
type javaDifference struct {
	what, why string
	explains  func(*javaOutcome) bool
}

// stricter explains that we refuse, for this reason, a text that Java accepts.
func stricter(decode bool, reason string) func(*javaOutcome) bool {
	match := regexp.MustCompile(reason).MatchString
	return func(o *javaOutcome) bool {
		return o.Decode == decode && o.err != nil && o.java.Refused == "" && match(o.err.Error())
	}
}

var (
	extraNested  = &javaDifference{what: "members that the schema does not have, in a nested record, are ignored", why: "the order of members means nothing in JSON"}
	lastWins     = &javaDifference{what: "of a member that comes twice, also by an alias, the last counts, and all must fit", why: "as in the Confluent proxy"}
	anyAlias     = &javaDifference{what: "an alias is taken wherever it stands", why: "the order of members means nothing in JSON"}
	roundedInts  = &javaDifference{what: "an int or long with a point or an exponent is not rounded to a float or double", why: "exact or refused"}
	specialsRead = &javaDifference{what: `"NaN" and its like can be read`, why: "what is written should be readable"}
	surrogate    = &javaDifference{what: "half of a surrogate pair becomes U+FFFD", why: "a question mark may be real"}
	notNothing   = &javaDifference{what: "a record without values in it must be there, an object, also where nothing comes behind it", why: "anything else is a mistake"}

	exactOnly = &javaDifference{
		"a number that is not exact, or infinite, is refused", "exact or refused",
		stricter(false, `expected (int|long), got -?\d+(\.|[eE]|\d*…)|is out of the range of (float|double)$`),
	}
	latinOnly = &javaDifference{
		"a character past U+00FF in bytes is refused", "exact or refused",
		stricter(false, `whose characters are bytes up to U\+00FF, got "`),
	}
	oneTag = &javaDifference{
		"a tag stands alone", "two are a mistake",
		stricter(false, `one member, which names a branch of the union, got several$`),
	}
	mapOrder = &javaDifference{
		"a map keeps its order, and keys that come twice", "readers take the last anyway",
		func(o *javaOutcome) bool {
			if o.err != nil || o.java.Refused != "" || !strings.Contains(o.Schema, `"map"`) {
				return false
			}
			if o.Decode {
				return sameMeaning(o.ours, o.java.Payload)
			}
			ours, err := o.schema.AppendDecoded(nil, o.ours, codec.Tagged)
			theirs, errTheirs := o.schema.AppendDecoded(nil, o.java.Payload, codec.Tagged)
			return err == nil && errTheirs == nil && sameMeaning(ours, theirs)
		},
	}
	fewDigits = &javaDifference{
		"a float or double is written with the fewest digits", "people read it",
		func(o *javaOutcome) bool {
			return o.Decode && o.err == nil && o.java.Refused == "" && sameMeaning(o.ours, o.java.Payload) &&
				(strings.Contains(o.Schema, `"float"`) || strings.Contains(o.Schema, `"double"`))
		},
	}
	wholePairs = &javaDifference{
		"a character past U+FFFF is written as it is, not as two escapes", "fewer bytes; it is the same text",
		func(o *javaOutcome) bool {
			return o.Decode && o.err == nil && o.java.Refused == "" && bytes.Contains(o.java.Payload, []byte(`\uD`)) && sameMeaning(o.ours, o.java.Payload)
		},
	}
	emptyWritten = &javaDifference{
		"a record without values in it, on its own, is written", "nothing is not JSON",
		func(o *javaOutcome) bool {
			return o.Decode && o.err == nil && o.ours[0] == '{' && len(o.Payload) == 0 && o.java.Refused == "" && len(o.java.Payload) == 0
		},
	}
	nothingBehind = &javaDifference{
		"nothing may follow the value", "damage should show",
		func(o *javaOutcome) bool {
			if !stricter(true, `^\d+ bytes? behind the value$`)(o) {
				return false
			}
			end := len(o.Payload) - leadingNumber(o.err.Error()) // the bytes before it are the same
			whole := askJava(o.schema, true, o.Schema, o.Payload[:end])
			return whole.err == nil && (sameMeaning(whole.ours, o.java.Payload) || whole.ours[0] == '{' && end == 0 && len(o.java.Payload) == 0)
		},
	}
	utf8Only    = &javaDifference{"texts in binary must be UTF-8", "damage should show", stricter(true, `is not UTF-8$`)}
	oneBit      = &javaDifference{"booleans in binary are 0 or 1", "damage should show", stricter(true, `expected boolean, got the byte \d+$`)}
	int32Only   = &javaDifference{"ints in binary have 32 bits, other numbers 64", "damage should show", stricter(true, `is out of the range of int$|has more than 64 bits$`)}
	blockSize   = &javaDifference{"the size of a block is within the bytes", "damage should show", stricter(true, `^(.*: )?(the bytes end within|the length of) (array|map)( is negative)?$`)}
	boundedNull = &javaDifference{"values that take no bytes are bounded", "a few bytes must not become gigabytes", stricter(true, `^(.*: )?too many values that take no bytes$`)}
)

// javaDifferences are all, in the order in which they are tried.
var javaDifferences = []*javaDifference{
	extraNested, lastWins, anyAlias, roundedInts, specialsRead, surrogate, exactOnly, latinOnly, oneTag, notNothing,
	emptyWritten, mapOrder, fewDigits, wholePairs, nothingBehind, utf8Only, oneBit, int32Only, blockSize, boundedNull,
}

// leadingNumber is what a text starts with.
func leadingNumber(text string) int {
	n := 0
	for _, c := range text {
		if c < '0' || c > '9' {
			break
		}
		n = 10*n + int(c-'0')
	}
	return n
}

// straighten removes the oddities of a text that mean something else to Java, and returns those
// that it found.
func straighten(n *node, t *jsonTree) (found []*javaDifference) {
	note := func(d *javaDifference) {
		if !slices.Contains(found, d) {
			found = append(found, d)
		}
	}
	straightenValue(n, t, note)
	return found
}

func straightenValue(n *node, t *jsonTree, note func(*javaDifference)) {
	if whole := hollow(n); whole != nil {
		if whole.String() != t.String() {
			*t = *whole
			note(notNothing)
		}
		return
	}
	switch {
	case n.kind == kindRecord && t.kind == '{':
		straightenRecord(n, t, note)
	case n.kind == kindUnion && t.kind == '{' && len(t.kids) > 0:
		if at, ok := n.index[unquoted(t.names[0])]; ok {
			straightenValue(n.branches[at].node, t.kids[0], note)
		}
	case n.kind == kindArray && t.kind == '[', n.kind == kindMap && t.kind == '{':
		for i := range t.names {
			straightenString(&t.names[i], note)
		}
		for _, k := range t.kids {
			straightenValue(n.items, k, note)
		}
	case t.kind != 0:
	case n.kind == kindString && t.scalar[0] == '"':
		straightenString(&t.scalar, note)
	case n.kind == kindFloat || n.kind == kindDouble:
		if t.scalar == nan || t.scalar == inf || t.scalar == negInf {
			t.scalar = "1.5"
			note(specialsRead)
		}
	case n.kind == kindInt || n.kind == kindLong:
		if v, ok := new(big.Rat).SetString(t.scalar); ok && v.IsInt() && strings.ContainsAny(t.scalar, ".eE") && len(v.Num().String()) < 40 {
			t.scalar = v.Num().String()
			note(roundedInts)
		}
	}
}

// straightenRecord leaves the fields, by their own names; the last of those that come twice.
func straightenRecord(n *node, t *jsonTree, note func(*javaDifference)) {
	seen := map[int]bool{}
	for i := len(t.kids) - 1; i >= 0; i-- {
		at, ok := n.index[unquoted(t.names[i])]
		if !ok || seen[at] {
			t.names, t.kids = slices.Delete(t.names, i, i+1), slices.Delete(t.kids, i, i+1)
			if ok {
				note(lastWins)
			} else {
				note(extraNested)
			}
			continue
		}
		seen[at] = true
		if name := n.fields[at].name; unquoted(t.names[i]) != name {
			t.names[i] = `"` + name + `"`
			note(anyAlias)
		}
		straightenValue(n.fields[at].node, t.kids[i], note)
	}
	for at, f := range n.fields {
		if whole := hollow(f.node); whole != nil && !seen[at] {
			t.put(len(t.kids), f.key[:len(f.key)-1], whole)
			note(notNothing)
		}
	}
}

// hollow is the only value of a record of nothing but records, down to those without
// fields, and nil for other types.
func hollow(n *node) *jsonTree {
	if n.kind != kindRecord {
		return nil
	}
	t := &jsonTree{kind: '{'}
	for _, f := range n.fields {
		whole := hollow(f.node)
		if whole == nil {
			return nil
		}
		t.put(len(t.kids), f.key[:len(f.key)-1], whole)
	}
	return t
}

// straightenString replaces halves of surrogate pairs, which package json does as we do.
func straightenString(quoted *string, note func(*javaDifference)) {
	text := unquoted(*quoted)
	if !strings.Contains(*quoted, `\ud`) || !strings.Contains(text, "\uFFFD") {
		return
	}
	straight, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	*quoted = string(straight)
	note(surrogate)
}
