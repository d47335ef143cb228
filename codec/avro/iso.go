package avro

import (
	"math"
	"time"
)

const secondsPerDay = 24 * 60 * 60

// parseTime reads the ISO 8601 text of n's logical type: 2006-01-02, 15:04:05.999,
// 2006-01-02T15:04:05.999Z or, local, without the zone. Seconds and their fraction may be
// missing; a fraction finer than n counts is refused, not cut. problem names what was expected
// instead, or is empty.
func parseTime(n *node, text []byte) (v int64, problem string) {
	p := isoParser{text: text, ok: true}
	var day, second int64
	if n.logical != logicalTime {
		day = p.date()
	}
	if n.logical == logicalTimestamp || n.logical == logicalLocalTimestamp {
		p.oneOf('T', 't', ' ')
	}
	fraction := int64(0)
	if n.logical != logicalDate {
		second, fraction = p.clock(n.perSecond)
	}
	if n.logical == logicalTimestamp {
		second -= p.zone()
	}
	if !p.ok || p.i != len(text) {
		return 0, n.wantedTime()
	}
	if n.logical == logicalDate {
		return day, ""
	}
	second += day * secondsPerDay
	if !n.counts(second) {
		return 0, "a time between 1678 and 2262"
	}
	return second*n.perSecond + fraction, ""
}

func (n *node) wantedTime() string {
	switch n.logical {
	case logicalDate:
		return "a date such as 2006-01-02"
	case logicalTime:
		return "a time such as 15:04:05, no finer than its schema"
	case logicalLocalTimestamp:
		return "a local time such as 2006-01-02T15:04:05, no finer than its schema"
	}
	return "a time such as 2006-01-02T15:04:05Z, no finer than its schema"
}

// isoParser reads one text; ok becomes false at the first deviation.
type isoParser struct {
	text []byte
	i    int
	ok   bool
}

func (p *isoParser) peek() byte {
	if p.i < len(p.text) {
		return p.text[p.i]
	}
	return 0
}

func (p *isoParser) oneOf(a, b, c byte) byte {
	got := p.peek()
	p.ok = p.ok && (got == a || got == b || got == c)
	p.i++
	return got
}

// number reads that many digits, which may stand for low to high.
func (p *isoParser) number(digits, low, high int) int {
	v := 0
	for range digits {
		c := p.peek() - '0'
		p.ok = p.ok && c <= 9
		v = v*10 + int(c)
		p.i++
	}
	p.ok = p.ok && v >= low && v <= high
	return v
}

// date returns the days since 1970.
func (p *isoParser) date() int64 {
	year := p.number(4, 0, 9999)
	p.oneOf('-', '-', '-')
	month := p.number(2, 1, 12)
	p.oneOf('-', '-', '-')
	day := p.number(2, 1, 31)
	if !p.ok {
		return 0
	}
	t := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	p.ok = t.Day() == day // 2006-02-30 does not exist
	return t.Unix() / secondsPerDay
}

// clock returns the seconds of the day and a fraction in units.
func (p *isoParser) clock(perSecond int64) (second, fraction int64) {
	hour := p.number(2, 0, 23)
	p.oneOf(':', ':', ':')
	minute := p.number(2, 0, 59)
	s := 0
	if p.peek() == ':' {
		p.i++
		s = p.number(2, 0, 59)
		if p.peek() == '.' {
			p.i++
			fraction = p.fraction(perSecond)
		}
	}
	return int64(hour*3600 + minute*60 + s), fraction
}

func (p *isoParser) fraction(perSecond int64) int64 {
	start, v := p.i, int64(0)
	for ; p.peek()-'0' <= 9; p.i++ {
		c := int64(p.peek() - '0')
		if perSecond == 1 {
			p.ok = p.ok && c == 0
			continue
		}
		perSecond /= 10
		v += c * perSecond
	}
	p.ok = p.ok && p.i > start
	return v
}

// zone returns the seconds that a zone is ahead of UTC.
func (p *isoParser) zone() int64 {
	if c := p.peek(); c == 'Z' || c == 'z' {
		p.i++
		return 0
	}
	sign := p.oneOf('+', '-', '+')
	hour := p.number(2, 0, 23)
	p.oneOf(':', ':', ':')
	ahead := int64(hour*3600 + p.number(2, 0, 59)*60)
	if sign == '-' {
		return -ahead
	}
	return ahead
}

// appendTime appends the text of v; ok is false when no text exists that parseTime would read:
// times outside of a day and years outside of 0 to 9999.
func appendTime(n *node, dst []byte, v int64) (text []byte, ok bool) {
	second, fraction := v/n.perSecond, v%n.perSecond
	if fraction < 0 {
		second, fraction = second-1, fraction+n.perSecond
	}
	nanos := fraction * (1e9 / n.perSecond)
	switch {
	case n.logical == logicalDate:
		second = v * secondsPerDay
	case n.logical == logicalTime && (second < 0 || second >= secondsPerDay), !n.counts(second):
		return dst, false
	}
	if second < firstSecond || second > lastSecond {
		return dst, false
	}
	return time.Unix(second, nanos).UTC().AppendFormat(dst, n.layout), true
}

// counts reports whether n's range includes a second; only that of nanoseconds may not.
func (n *node) counts(second int64) bool {
	limit := math.MaxInt64 / n.perSecond
	return -limit <= second && second < limit
}

// The years from 0 to 9999.
const (
	firstSecond = -62167219200
	lastSecond  = 253402300799
)
