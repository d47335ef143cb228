// Package spool keeps bytes on the local disk until somebody has taken them over: entries in,
// entries out, in order. It knows no HTTP, no Kafka and no record.
//
// [Spool.Append] returns when the entry is on the disk: concurrent calls share one write and one
// fsync (group commit, commit.go). [Spool.Next] returns the entries in the order in which they
// were appended, and [Spool.Done] says that those are taken over. A segment of which all
// entries are done is deleted.
//
// # On the disk
//
// A folder belongs to one process at a time, by a lock that the kernel drops when the process
// dies. It holds
//
//	lock              the lock
//	position          two slots with the position that was done last, written in turn
//	N.segment         entries, N going up
//	N.segment.OFFSET.corrupt
//	                  a stretch of a segment that could not be read, for people to look at
//
// A segment begins with a header: magic, version of the format, N. Each entry is its length, a
// CRC-32C of all that follows, the time of its arrival, and its bytes. A segment that is complete
// ends with a seal. A process never writes into a segment of an earlier one: it begins a new one.
//
// # What may happen
//
//   - The process dies at any moment. Entries whose Append has returned are there. The end of the
//     segment in use may be torn: it has no seal, and what follows the last whole entry is cut off.
//   - The machine dies: the same. A segment that was never synced may be there as zeros.
//   - A disk that is full, or fails to write or to sync: all Appends of the group fail, the segment
//     is cut back to the end of the last good group, and the next group begins a new one. Nothing
//     of a failed group is returned by Next, unless it could not be cut off and the process dies.
//   - A disk that fails to read: Open and Next return its error, and nothing is left out. Next may
//     be called again. Whoever takes the segment away, while no process has the folder, takes its
//     entries and no others.
//   - Bits rot: an entry that is wrong costs itself and no other. The next whole entry is searched
//     for, byte by byte, and the stretch before it is kept as .corrupt, counted and reported by
//     [Settings.Corrupt]. Of a machine that died, such a stretch may also be a part of the last
//     group that had not reached the disk, while a later part had: nobody was told it is there.
//   - Bits of a segment's header rot: that costs no entry, since each names its segment in its
//     checksum. Only a wrong version is believed, and ends the start with an error: what a later
//     program has written is not for this one to sort out.
//   - Bits of the last entry rot, in a segment without a seal: that is as if it had been torn off,
//     and is not reported. A seal is written when a segment is full, or the spool is closed.
//   - The position may be older than what was done, by what was done since the last Done. After
//     the end of the process those entries come again; after the end of the machine, those of the
//     last second.
//
// The spool never drops an entry to make room. When it holds [Settings.MaxBytes], or its oldest
// entry is [Settings.MaxAge] old, Append fails with [ErrFull].
//
// Libraries that were looked at, and what each lacks of this: tidwall/wal has no checksums and
// refuses to open behind a torn tail; hashicorp/raft-wal is bound to raft.Log and to one writer
// that syncs for itself; the WAL of Prometheus cuts off whatever follows a wrong record, and brings
// the rest of its module; nsqio/go-diskqueue and VictoriaMetrics' persistentqueue do not sync
// before they return.
//
// [Walk] reads a folder from outside, also one that is in use.
//
// All methods may be called from any goroutine; Next and Done are for one reader.
package spool
