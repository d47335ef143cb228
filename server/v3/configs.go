package v3

import (
	"slices"
	"strconv"
	"strings"

	"millrace/admin"
	"millrace/internal/apierr"
	"millrace/metadata"
	"millrace/server"
)

// configs are the settings of one kind of owner: of topics, of brokers, or of all brokers.
type configs struct {
	*shared
	// path is where the settings of an owner are, below the cluster, and name begins the names of
	// their routes.
	path, name string
	resource   server.Resource
	// owner returns the owner that the path of a request names.
	owner func(c *call) (owner, error)
	// free says that Kafka alone decides which settings there are. Otherwise one that is not among
	// those of the owner is not found.
	free bool
}

// owner is something that has settings.
type owner struct {
	of   admin.Owner
	name string // Kafka's
	kind string // of its settings
	// path is where its settings are, below the cluster; crn begins their resource names, up to
	// the name of the setting.
	path, crn []any
	topic     *string
	broker    *int32
	scope     *string
}

func (s *shared) configRoutes() []server.Route {
	all := &allConfigs{s}
	routes := []server.Route{
		s.pages("/topics/-/configs", "api.v3.topic-configs.list", server.Topics, all.ofTopics),
		s.change("POST /topics/-/configs:alter", "api.v3.topic-configs.alter-multi", server.Topics, fields(alterTopics{}), all.alterTopics),
		s.pages("/brokers/-/configs", "api.v3.brokers-configs.list", server.Cluster, all.ofBrokers),
	}
	for _, k := range []*configs{
		{s, "/topics/{topic}/configs", "api.v3.topic-configs", server.Topic, ownerTopic, false},
		{s, "/brokers/{broker_id}/configs", "api.v3.broker-configs", server.Cluster, ownerBroker, false},
		{s, "/broker-configs", "api.v3.cluster-configs", server.Cluster, ownerAllBrokers, true},
	} {
		routes = append(routes, k.routes()...)
	}
	return routes
}

func (k *configs) routes() []server.Route {
	one := k.path + "/{name}"
	return []server.Route{
		k.pages(k.path, k.name+".list", k.resource, k.list),
		k.get(one, k.name+".get", k.resource, k.one),
		k.change("PUT "+one, k.name+".update", k.resource, fields(newValue{}), k.put),
		k.change("DELETE "+one, k.name+".delete", k.resource, nil, k.reset),
		k.change("POST "+k.path+":alter", k.name+".alter", k.resource, fields(alterConfigs{}), k.alter),
	}
}

func ownerTopic(c *call) (owner, error) {
	name, err := server.PathParam(c.RequestCtx, "topic")
	return topicOwner(name), err
}

func topicOwner(name string) owner {
	return owner{of: admin.OfTopic, name: name, kind: "KafkaTopicConfig", path: []any{"topics", name, "configs"}, crn: []any{"topic", name, "config"}, topic: &name}
}

func ownerBroker(c *call) (owner, error) {
	b, err := c.broker()
	return brokerOwner(b.ID), err
}

func brokerOwner(id int32) owner {
	return owner{of: admin.OfBroker, name: strconv.Itoa(int(id)), kind: "KafkaBrokerConfig", path: []any{"brokers", id, "configs"}, crn: []any{"broker", id, "config"}, broker: &id}
}

func ownerAllBrokers(*call) (owner, error) {
	scope := "BROKER"
	return owner{of: admin.OfBroker, name: admin.AllBrokers, kind: "KafkaClusterConfig", path: []any{"broker-configs"}, crn: []any{"broker-config"}, scope: &scope}, nil
}

// config is the description of one setting.
type config struct {
	Kind      string    `json:"kind"`
	Metadata  self      `json:"metadata"`
	ClusterID string    `json:"cluster_id"`
	Topic     *string   `json:"topic_name,omitempty"`
	Broker    *int32    `json:"broker_id,omitempty"`
	Scope     *string   `json:"config_type,omitempty"`
	Name      string    `json:"name"`
	Value     *string   `json:"value"`
	Default   bool      `json:"is_default"`
	ReadOnly  bool      `json:"is_read_only"`
	Sensitive bool      `json:"is_sensitive"`
	Source    string    `json:"source"`
	Synonyms  []synonym `json:"synonyms"`
}

// synonym is a setting that another takes its value from.
type synonym struct {
	Name   string  `json:"name"`
	Value  *string `json:"value"`
	Source string  `json:"source"`
}

func newConfigOf(u *urls, o *owner, a *admin.Config) config {
	d := config{
		Kind:      o.kind,
		Metadata:  self{u.to(append(slices.Clone(o.path), a.Name)...), u.name(append(slices.Clone(o.crn), a.Name)...)},
		ClusterID: u.cluster,
		Topic:     o.topic,
		Broker:    o.broker,
		Scope:     o.scope,
		Name:      a.Name,
		Value:     a.Value,
		Default:   a.Default(),
		ReadOnly:  a.ReadOnly,
		Sensitive: a.Sensitive,
		Source:    a.Source,
		Synonyms:  make([]synonym, 0, len(a.Synonyms)),
	}
	for _, s := range a.Synonyms {
		d.Synonyms = append(d.Synonyms, synonym(s))
	}
	return d
}

// read returns settings of an owner.
func (k *configs) read(c *call, o owner, only ...string) ([]admin.Config, error) {
	all, err := k.Admin.Configs(c.life, o.of, []string{o.name}, only...)
	if err == nil {
		err = all[o.name].Err
	}
	return all[o.name].All, k.strictly(err)
}

// ownerAndName returns the owner and the setting that the path names.
func (k *configs) ownerAndName(c *call) (o owner, name string, err error) {
	if o, err = k.owner(c); err != nil {
		return o, "", err
	}
	name, err = server.PathParam(c.RequestCtx, "name")
	return o, name, err
}

// list handles GET of all settings of an owner.
func (k *configs) list(c *call) error {
	o, err := k.owner(c)
	if err != nil {
		return err
	}
	all, err := k.read(c, o)
	if err != nil {
		return err
	}
	return respondList(c, listOf[config](o.kind+"List", c.urls.to(o.path...)), all,
		func(a admin.Config) string { return a.Name },
		func(a admin.Config) config { return newConfigOf(&c.urls, &o, &a) })
}

// one handles GET of one setting.
func (k *configs) one(c *call) error {
	o, name, err := k.ownerAndName(c)
	if err != nil {
		return err
	}
	all, err := k.read(c, o, name)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(all, func(a admin.Config) bool { return a.Name == name })
	if at < 0 {
		return o.lacks(name)
	}
	return c.respond(newConfigOf(&c.urls, &o, &all[at]))
}

// lacks is the error of a setting that the owner does not have.
func (o owner) lacks(name string) error {
	switch {
	case o.topic != nil:
		return apierr.NotFound.New("Config %s cannot be found for topic %s.", name, o.name)
	case o.broker != nil:
		return apierr.NotFound.New("Config %s cannot be found for broker %s.", name, o.name)
	}
	return apierr.NotFound.New("Config %s is not set for all brokers.", name)
}

// newValue is the body of a request that sets one setting.
type newValue struct {
	Value *text `json:"value" max:"65536"`
}

// put handles PUT of one setting.
func (k *configs) put(c *call) error {
	o, name, err := k.ownerAndName(c)
	if err != nil {
		return err
	}
	var body newValue
	if err := c.read(&body, noBody); err != nil {
		return err
	}
	if body.Value == nil {
		return apierr.Unprocessable.New("value is missing. DELETE resets the setting to its default.")
	}
	return k.set(c, o, []admin.SetConfig{{Name: name, Value: (*string)(body.Value)}}, false)
}

// reset handles DELETE of one setting.
func (k *configs) reset(c *call) error {
	o, name, err := k.ownerAndName(c)
	if err != nil {
		return err
	}
	return k.set(c, o, []admin.SetConfig{{Name: name}}, false)
}

// alterConfigs is the body of a request that changes many settings.
type alterConfigs struct {
	Data         []alterConfig `json:"data" max:"10000"`
	ValidateOnly bool          `json:"validate_only"`
}

// alterConfig is one change.
type alterConfig struct {
	Name      text  `json:"name" max:"249"`
	Value     *text `json:"value" max:"65536"`
	Operation *text `json:"operation" max:"64"`
}

// alter handles POST of many changes.
func (k *configs) alter(c *call) error {
	o, err := k.owner(c)
	if err != nil {
		return err
	}
	var body alterConfigs
	if err := c.read(&body, noBody); err != nil {
		return err
	}
	if len(body.Data) == 0 {
		return apierr.Unprocessable.New("data is missing or empty.")
	}
	sets, err := changes(body.Data)
	if err != nil {
		return err
	}
	return k.set(c, o, sets, body.ValidateOnly)
}

// changes converts the changes of a body.
func changes(data []alterConfig) ([]admin.SetConfig, error) {
	var sets []admin.SetConfig
	for _, d := range data {
		set := admin.SetConfig{Name: string(d.Name)}
		operation := "SET"
		if d.Operation != nil {
			operation = strings.ToUpper(string(*d.Operation))
		}
		switch {
		case operation == "SET" && d.Value != nil:
			set.Value = (*string)(d.Value)
		case operation == "SET":
			return nil, apierr.Unprocessable.New("The value of %s is missing. The operation DELETE resets it to its default.", d.Name)
		case operation != "DELETE":
			return nil, apierr.BadRequest.New("The operation of %s must be SET or DELETE, not %q.", d.Name, operation)
		}
		sets = append(sets, set)
	}
	return sets, nil
}

// set changes settings of an owner.
func (k *configs) set(c *call, o owner, sets []admin.SetConfig, validateOnly bool) error {
	c.note("configs", settingNames(sets))
	c.note("validate_only", validateOnly)
	all, err := k.read(c, o)
	if err != nil {
		return err
	}
	for _, set := range sets {
		if !k.free && !slices.ContainsFunc(all, func(a admin.Config) bool { return a.Name == set.Name }) {
			return o.lacks(set.Name)
		}
	}
	refusals, err := k.Admin.AlterConfigs(c.life, o.of, map[string][]admin.SetConfig{o.name: sets}, validateOnly)
	if err == nil {
		err = refusals[o.name]
	}
	if err != nil {
		return k.strictly(err)
	}
	return c.done()
}

func settingNames(sets []admin.SetConfig) []string {
	var names []string
	for _, s := range sets {
		names = append(names, s.Name)
	}
	return names
}

// allConfigs are the settings of many owners at once.
type allConfigs struct{ *shared }

// configOf is a setting with its owner. A list may have many thousands of them, which are sorted.
type configOf struct {
	*owner
	*admin.Config
}

func (k configOf) key() string {
	if k.broker != nil {
		return ordered(*k.broker) + k.Config.Name
	}
	return k.owner.name + "\x00" + k.Config.Name
}

// ofBrokers handles GET /brokers/-/configs.
func (s *allConfigs) ofBrokers(c *call) error {
	view, err := s.Metadata.Snapshot(c.life)
	if err != nil {
		return err
	}
	var owners []owner
	for _, b := range view.Brokers {
		owners = append(owners, brokerOwner(b.ID))
	}
	return s.respond(c, listOf[config]("KafkaBrokerConfigList", c.urls.to("brokers", "-", "configs")), owners)
}

// ofTopics handles GET /topics/-/configs.
func (s *allConfigs) ofTopics(c *call) error {
	view, err := s.Metadata.Snapshot(c.life)
	if err != nil {
		return err
	}
	_, after, err := c.pageAsked()
	if err != nil {
		return err
	}
	first, _, _ := strings.Cut(after, "\x00")
	var owners []owner
	for _, t := range visible(c, server.Topic, view.Topics, func(t *metadata.Topic) string { return t.Name }) {
		if t.Name >= first {
			owners = append(owners, topicOwner(t.Name))
		}
	}
	return s.respond(c, listOf[config]("KafkaTopicConfigList", c.urls.to("topics", "-", "configs")), owners)
}

// ownersAtOnce is how many owners are asked about before it is seen whether the page is full.
const ownersAtOnce = 250

// respond answers with a page of the settings of owners, which are sorted. It asks about no more of
// them than fill the page, and leaves out topics that were deleted meanwhile.
func (s *allConfigs) respond(c *call, of list[config], owners []owner) error {
	size, after, err := c.pageAsked()
	if err != nil {
		return err
	}
	var all []configOf
	for chunk := range slices.Chunk(owners, ownersAtOnce) {
		var names []string
		for _, o := range chunk {
			names = append(names, o.name)
		}
		found, err := s.Admin.Configs(c.life, chunk[0].of, names)
		if err != nil {
			return err
		}
		for i := range chunk {
			o := &chunk[i]
			if err := found[o.name].Err; err != nil && !apierr.TopicNotFound.Is(err) {
				return err
			}
			settings := found[o.name].All
			for j := range settings {
				if k := (configOf{o, &settings[j]}); k.key() > after {
					all = append(all, k)
				}
			}
		}
		if len(all) > size {
			break
		}
	}
	return respondList(c, of, all, configOf.key, func(k configOf) config { return newConfigOf(&c.urls, k.owner, k.Config) })
}

// alterTopics is the body of a request that changes settings of many topics.
type alterTopics struct {
	Data         []alterTopic `json:"data" max:"10000"`
	ValidateOnly bool         `json:"validate_only"`
}

// alterTopic are the changes of one topic.
type alterTopic struct {
	Topic   text          `json:"topic_name" max:"249"`
	Configs []alterConfig `json:"configs" max:"1000"`
}

// refusal tells why one thing of many was not changed.
type refusal struct {
	Topic     string `json:"topic_name"`
	Partition *int32 `json:"partition_id,omitempty"`
	Code      int    `json:"error_code"`
	Message   string `json:"message"`
}

func newRefusal(topic string, err error) refusal {
	e := apierr.From(err)
	return refusal{Topic: topic, Code: e.Kind.Code, Message: e.Message()}
}

// refusals are the answer to a request of whose changes some failed.
type refusals struct {
	Failures []refusal `json:"failures"`
}

// alterTopics handles POST /topics/-/configs:alter: the topics that Kafka takes are changed, the
// others named.
func (s *allConfigs) alterTopics(c *call) error {
	var body alterTopics
	if err := c.read(&body, noBody); err != nil {
		return err
	}
	if len(body.Data) == 0 {
		return apierr.Unprocessable.New("data is missing or empty.")
	}
	of := make(map[string][]admin.SetConfig, len(body.Data))
	for _, d := range body.Data {
		name := string(d.Topic)
		if !metadata.ValidTopicName(name) || of[name] != nil || len(d.Configs) == 0 {
			return apierr.Unprocessable.New("Each element of data needs a topic_name of its own, and configs: %q.", name)
		}
		sets, err := changes(d.Configs)
		if err == nil {
			err = server.Allow(c.RequestCtx, server.Administer, server.Topic, name)
		}
		if err != nil {
			return err
		}
		of[name] = sets
	}
	c.note("topics", len(of))
	c.note("validate_only", body.ValidateOnly)
	failed, err := s.Admin.AlterConfigs(c.life, admin.OfTopic, of, body.ValidateOnly)
	if err != nil {
		return err
	}
	if len(failed) == 0 {
		return c.done()
	}
	answer := refusals{}
	for _, d := range body.Data { // in their order
		if err := failed[string(d.Topic)]; err != nil {
			answer.Failures = append(answer.Failures, newRefusal(string(d.Topic), s.strictly(err)))
		}
	}
	return c.respondMulti(answer, len(failed))
}
