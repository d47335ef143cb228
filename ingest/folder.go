package ingest

import (
	"errors"
	"path/filepath"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/pool"
	"millrace/spool"
)

// DeadFolder is the folder, within that of the spool, of the events that Kafka refuses and whose
// route has no dead-letter topic.
const DeadFolder = "dead"

// DeadRecord is a record in that folder, as it was to be written to its topic. A nil key or value
// is none.
type DeadRecord struct {
	*kgo.Record
	Route string
	// Kept is when the record came into the folder.
	Kept time.Time
}

// ReadDead calls f for each record in the folder of dead events of a spool, in their order. The
// node may run meanwhile. It ends with the first error of f. An entry that is none of this program
// is left out, and so is what the disk has damaged: skipped counts both.
func ReadDead(spoolDir string, f func(DeadRecord) error) (skipped int, err error) {
	gaps, err := spool.Walk(filepath.Join(spoolDir, DeadFolder), func(at time.Time, entry []byte) error {
		head, records, err := headOfEntry(entry)
		var slab pool.Slab
		for err == nil && records.next(&slab, false) {
		}
		if errors.Join(err, records.err) != nil {
			skipped++
			return nil
		}
		for i := range slab.Records {
			slab.Records[i].Topic = head.topic
			if err := f(DeadRecord{&slab.Records[i], head.route, at}); err != nil {
				return err
			}
		}
		return nil
	})
	return skipped + gaps, err
}
