package admin

import (
	"context"

	"github.com/twmb/franz-go/pkg/kadm"

	"millrace/internal/apierr"
)

// ScramUser is a user of SCRAM with the mechanisms that the user has passwords for.
type ScramUser struct {
	Name       string
	Mechanisms []Mechanism
}

// Mechanism is a way of SCRAM, as SCRAM-SHA-256, with its iterations.
type Mechanism struct {
	Name       string
	Iterations int32
}

// The iterations that Kafka takes.
const minIterations, maxIterations = 4096, 16384

// mechanisms are those that Kafka has.
var mechanisms = map[string]kadm.ScramMechanism{"SCRAM-SHA-256": kadm.ScramSha256, "SCRAM-SHA-512": kadm.ScramSha512}

func mechanism(name string) (kadm.ScramMechanism, error) {
	m, ok := mechanisms[name]
	if !ok {
		return 0, apierr.BadRequest.New("mechanism must be SCRAM-SHA-256 or SCRAM-SHA-512, not %q.", name)
	}
	return m, nil
}

// ScramUsers returns all users of SCRAM, sorted. Their passwords never leave Kafka.
func (a *Admin) ScramUsers(ctx context.Context) ([]ScramUser, error) {
	found, err := within(ctx, func() (kadm.DescribedUserSCRAMs, error) { return a.kadm.DescribeUserSCRAMs(ctx) })
	if err != nil {
		return nil, failed(err)
	}
	var all []ScramUser
	for _, u := range found.Sorted() {
		if u.Err != nil {
			return nil, apierr.FromKafka(u.Err, u.ErrMessage)
		}
		user := ScramUser{Name: u.User}
		for _, c := range u.CredInfos {
			for name, m := range mechanisms {
				if m == c.Mechanism {
					user.Mechanisms = append(user.Mechanisms, Mechanism{name, c.Iterations})
				}
			}
		}
		all = append(all, user)
	}
	return all, nil
}

// PutScramUser gives a user a password for a mechanism, and returns when a broker shows it. The
// password is salted and hashed here.
func (a *Admin) PutScramUser(ctx context.Context, user string, m Mechanism, password string) error {
	of, err := mechanism(m.Name)
	if err != nil {
		return err
	}
	if m.Iterations < minIterations || m.Iterations > maxIterations {
		return apierr.BadRequest.New("iterations must be from %d to %d, not %d.", minIterations, maxIterations, m.Iterations)
	}
	if err := a.alterScram(ctx, user, nil, []kadm.UpsertSCRAM{{User: user, Mechanism: of, Iterations: m.Iterations, Password: password}}); err != nil {
		return err
	}
	a.settle(ctx, func(ctx context.Context) bool { return a.iterations(ctx, user, of) == m.Iterations })
	return nil
}

// DeleteScramUser takes a user's password for a mechanism, and returns when a broker shows it no
// more.
func (a *Admin) DeleteScramUser(ctx context.Context, user, mechanismName string) error {
	of, err := mechanism(mechanismName)
	if err != nil {
		return err
	}
	if err := a.alterScram(ctx, user, []kadm.DeleteSCRAM{{User: user, Mechanism: of}}, nil); err != nil {
		return err
	}
	a.settle(ctx, func(ctx context.Context) bool { return a.iterations(ctx, user, of) == 0 })
	return nil
}

// iterations returns those of a user's password for a mechanism: 0 for none, -1 if a broker cannot
// be asked.
func (a *Admin) iterations(ctx context.Context, user string, of kadm.ScramMechanism) int32 {
	found, err := within(ctx, func() (kadm.DescribedUserSCRAMs, error) { return a.kadm.DescribeUserSCRAMs(ctx, user) })
	if err != nil {
		return -1
	}
	for _, c := range found[user].CredInfos {
		if c.Mechanism == of {
			return c.Iterations
		}
	}
	return 0
}

func (a *Admin) alterScram(ctx context.Context, user string, del []kadm.DeleteSCRAM, put []kadm.UpsertSCRAM) error {
	answer, err := within(ctx, func() (kadm.AlteredUserSCRAMs, error) { return a.kadm.AlterUserSCRAMs(ctx, del, put) })
	if err != nil {
		return failed(err)
	}
	return apierr.FromKafka(answer[user].Err, answer[user].ErrMessage)
}

// LogDir is a folder where a broker keeps partitions.
type LogDir struct {
	Path string
	// Total and Usable are of its volume, -1 where the broker does not tell.
	Total, Usable int64
	Partitions    []Stored
}

// Stored is a replica in a folder.
type Stored struct {
	TopicPartition
	Size, Lag int64
	Future    bool // it is being moved here from another folder
}

// LogDirs returns the folders of a broker, sorted.
func (a *Admin) LogDirs(ctx context.Context, broker int32) ([]LogDir, error) {
	found, err := within(ctx, func() (kadm.DescribedLogDirs, error) { return a.kadm.DescribeBrokerLogDirs(ctx, broker, nil) })
	if err != nil {
		return nil, failed(err)
	}
	var all []LogDir
	for _, d := range found.Sorted() {
		if d.Err != nil {
			return nil, failed(d.Err)
		}
		dir := LogDir{Path: d.Dir, Total: d.TotalBytes, Usable: d.UsableBytes}
		for _, p := range d.Topics.Sorted() {
			if a.open(p.Topic) == nil {
				dir.Partitions = append(dir.Partitions, Stored{TopicPartition{p.Topic, p.Partition}, p.Size, p.OffsetLag, p.IsFuture})
			}
		}
		all = append(all, dir)
	}
	return all, nil
}
