package v3

import (
	"millrace/admin"
	"millrace/internal/apierr"
	"millrace/server"
)

// users are the users of SCRAM, and the folders of brokers: what an operator of brokers looks
// after. The Confluent proxy has neither.
type users struct{ *shared }

func (s *users) routes() []server.Route {
	const one = "/scram-users/{user}"
	return []server.Route{
		with(s.route(server.Route{Method: "GET", Path: "/scram-users", Name: "millrace.v3.scram-users.list", Action: server.Administer, Resource: server.Cluster}, s.list), pageWords...),
		s.change("PUT "+one, "millrace.v3.scram-users.update", server.Cluster, fields(newPassword{}), s.put),
		with(s.change("DELETE "+one, "millrace.v3.scram-users.delete", server.Cluster, nil, s.delete), "mechanism"),
		s.pages("/brokers/{broker_id}/log-dirs", "millrace.v3.log-dirs.list", server.Cluster, s.logDirs),
	}
}

// scramUser is the description of a user.
type scramUser struct {
	Kind       string           `json:"kind"`
	Metadata   self             `json:"metadata"`
	ClusterID  string           `json:"cluster_id"`
	Name       string           `json:"user_name"`
	Mechanisms []scramMechanism `json:"mechanisms"`
}

// scramMechanism is a mechanism that a user has a password for.
type scramMechanism struct {
	Name       string `json:"mechanism"`
	Iterations int32  `json:"iterations"`
}

// list handles GET /scram-users.
func (s *users) list(c *call) error {
	all, err := s.Admin.ScramUsers(c.life)
	if err != nil {
		return err
	}
	return respondList(c, listOf[scramUser]("KafkaScramUserList", c.urls.to("scram-users")), all,
		func(u admin.ScramUser) string { return u.Name },
		func(u admin.ScramUser) scramUser {
			d := scramUser{
				Kind:      "KafkaScramUser",
				Metadata:  self{c.urls.to("scram-users", u.Name), c.urls.name("scram-user", u.Name)},
				ClusterID: c.urls.cluster, Name: u.Name, Mechanisms: []scramMechanism{},
			}
			for _, m := range u.Mechanisms {
				d.Mechanisms = append(d.Mechanisms, scramMechanism(m))
			}
			return d
		})
}

// newPassword is the body of a request that sets a password.
type newPassword struct {
	Mechanism  text    `json:"mechanism" max:"64"`
	Password   text    `json:"password" max:"1024"`
	Iterations *number `json:"iterations"`
}

// defaultIterations are for a password that says none; Kafka takes 4096 to 16384.
const defaultIterations = 8192

// put handles PUT /scram-users/{user}.
func (s *users) put(c *call) error {
	user, err := server.PathParam(c.RequestCtx, "user")
	if err != nil {
		return err
	}
	var body newPassword
	if err := c.read(&body, noBody); err != nil {
		return err
	}
	if body.Password == "" {
		return apierr.Unprocessable.New("password is missing or empty.")
	}
	m := admin.Mechanism{Name: string(body.Mechanism), Iterations: defaultIterations}
	if body.Iterations != nil {
		m.Iterations = int32(*body.Iterations)
	}
	c.note("mechanism", m.Name)
	if err := s.Admin.PutScramUser(c.life, user, m, string(body.Password)); err != nil {
		return err
	}
	return c.done()
}

// delete handles DELETE /scram-users/{user}.
func (s *users) delete(c *call) error {
	user, err := server.PathParam(c.RequestCtx, "user")
	if err != nil {
		return err
	}
	of, err := server.QueryText(c.RequestCtx, "mechanism", server.MaxWord)
	if err != nil {
		return err
	}
	c.note("mechanism", of)
	if err := s.Admin.DeleteScramUser(c.life, user, of); err != nil {
		return err
	}
	return c.done()
}

// logDir is the description of a folder of a broker.
type logDir struct {
	Path       string   `json:"path"`
	Total      *int64   `json:"total_bytes"`
	Usable     *int64   `json:"usable_bytes"`
	Partitions []stored `json:"partitions"`
}

// stored is a replica in a folder.
type stored struct {
	Topic     string `json:"topic_name"`
	Partition int32  `json:"partition_id"`
	Size      int64  `json:"size_bytes"`
	Lag       int64  `json:"offset_lag"`
	Future    bool   `json:"is_future"`
}

// logDirs handles GET /brokers/{broker_id}/log-dirs.
func (s *users) logDirs(c *call) error {
	b, err := c.broker()
	if err != nil {
		return err
	}
	all, err := s.Admin.LogDirs(c.life, b.ID)
	if err != nil {
		return err
	}
	return respondList(c, listOf[logDir]("KafkaLogDirList", c.urls.to("brokers", b.ID, "log-dirs")), all,
		func(d admin.LogDir) string { return d.Path },
		func(d admin.LogDir) logDir {
			d.Partitions = visible(c, server.Topic, d.Partitions, func(p admin.Stored) string { return p.Topic })
			return newLogDir(d)
		})
}

func newLogDir(d admin.LogDir) logDir {
	of := logDir{Path: d.Path, Partitions: []stored{}}
	if d.Total >= 0 {
		of.Total = &d.Total
	}
	if d.Usable >= 0 {
		of.Usable = &d.Usable
	}
	for _, p := range d.Partitions {
		of.Partitions = append(of.Partitions, stored{p.Topic, p.Partition, p.Size, p.Lag, p.Future})
	}
	return of
}
