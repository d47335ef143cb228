// Package pool holds every pooled type of the produce and fetch paths, and the checks that catch
// a use after release.
//
// The rules of ownership, in the words that the comments of all packages use:
//
//   - A pooled thing has one owner at a time. A function *borrows* its arguments unless its
//     comment says that it *takes* or *returns* them.
//   - Acquire, release and reset stand together in one file.
//   - A *view* is a slice into memory that another owner holds; it dies with that memory.
//   - A thing is not pooled when it is over its cap ([MaxPooledBytes], [MaxPooledRecords]), after
//     an internal error, and while a running goroutine can still reach it.
//
// [Slab] holds the records of one request, [Buffer] bytes. Conversions between string and []byte
// that share memory are in unsafe.go and nowhere else.
//
// Built with the tag "checked", or with the race detector, [Life] panics on a second release,
// released bytes are overwritten so that a late reader fails loudly, and [Outstanding] counts the
// things not yet released.
package pool
