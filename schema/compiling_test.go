package schema

import (
	"sync"
	"testing"
	"testing/synctest"

	"millrace/codec"
	"millrace/internal/apierr"
)

// Of schemas that arrive together few are compiled at a time, some wait, and the others are
// refused with a retriable error.
func TestCompilesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const running, waiting = 2, 3
		before := compiling
		compiling = newLimiter(running, waiting)
		defer func() { compiling = before }()
		release := make(chan struct{})
		var mu sync.Mutex
		begun, refused := 0, 0
		f := rawFormats
		f[codec.Avro].compile = func(text string, references []reference) (compiled, error) {
			mu.Lock()
			begun++
			mu.Unlock()
			<-release
			return compileRaw(text, references)
		}
		var all sync.WaitGroup
		for range running + waiting + 4 {
			all.Go(func() {
				_, err := f.compile(codec.Avro, userText, nil)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case apierr.RegistryTimedOut.Is(err):
					refused++
				case err != nil:
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if begun != running || refused != 4 {
			t.Errorf("%d compile and %d are refused", begun, refused)
		}
		close(release)
		all.Wait()
		if begun != running+waiting {
			t.Errorf("%d were compiled", begun)
		}
		if _, err := f.compile(codec.Avro, userText, nil); err != nil {
			t.Errorf("the limiter was not released: %v", err)
		}
	})
}
