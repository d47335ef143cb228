//go:build !race

package schema

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"millrace/codec"
)

// TestHitAlloc holds what stands in front of every request with a schema, and
// of every record that is read.
func TestHitAlloc(t *testing.T) {
	f := newFake(t)
	r := open(t, usual(f.URL()))
	byText, ctx := text("t", userText), context.Background()
	withID := byID("t", mustResolve(t, r, byText).ID)
	mustResolve(t, r, withID)
	if _, err := r.ByID(ctx, codec.Avro, codec.SchemaID{Number: withID.ID}); err != nil {
		t.Fatal(err)
	}
	for name, hit := range map[string]func() error{
		"text":   func() error { _, err := r.Resolve(ctx, byText); return err },
		"id":     func() error { _, err := r.Resolve(ctx, withID); return err },
		"cached": func() error { _, _, err := r.Cached(codec.Avro, codec.SchemaID{Number: withID.ID}); return err },
		"ByID":   func() error { _, err := r.ByID(ctx, codec.Avro, codec.SchemaID{Number: withID.ID}); return err },
	} {
		if n := testing.AllocsPerRun(100, func() {
			if err := hit(); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkHit(b *testing.B) {
	f := newFake(b)
	r := open(b, usual(f.URL()))
	ctx := context.Background()
	for _, size := range []int{200, 2000} {
		byText := text("t", `{"type":"record","name":"User","doc":"`+strings.Repeat("d", size)+`"}`)
		withID := byID("t", mustResolve(b, r, byText).ID)
		b.Run(fmt.Sprintf("by=text/size=%d", size), func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if _, err := r.Resolve(ctx, byText); err != nil {
						b.Error(err)
					}
				}
			})
		})
		b.Run(fmt.Sprintf("by=id/size=%d", size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Resolve(ctx, withID); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
