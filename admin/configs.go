package admin

import (
	"context"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Config is one setting of a topic, of a broker, or of all brokers.
type Config struct {
	Name string
	// Value is nil where Kafka has none, or withholds it because it is a secret.
	Value               *string
	ReadOnly, Sensitive bool
	// Source tells where the value comes from, as DYNAMIC_TOPIC_CONFIG.
	Source string
	// Synonyms are the settings that the value is taken from, the strongest first.
	Synonyms []Synonym
}

// Default reports whether nobody has set the value.
func (c *Config) Default() bool { return c.Source == kmsg.ConfigSourceDefaultConfig.String() }

// Synonym is a setting that another takes its value from.
type Synonym struct {
	Name   string
	Value  *string
	Source string
}

// SetConfig is a change of one setting. A nil value is the default.
type SetConfig struct {
	Name  string
	Value *string
}

// Owner is the kind of thing that has settings.
type Owner = kmsg.ConfigResourceType

// The owners. The name of a [Broker] is its id, and AllBrokers for what holds for all of them.
const (
	OfTopic    = kmsg.ConfigResourceTypeTopic
	OfBroker   = kmsg.ConfigResourceTypeBroker
	AllBrokers = ""
)

// configsAtOnce is how many owners one request asks about: the settings of a topic are about 5 KB.
const configsAtOnce = 500

// Configs are the settings of one owner, or the reason why they cannot be had.
type Configs struct {
	All []Config // sorted by name
	Err error
}

// Configs returns the settings of each owner in names: all of them, or those that only names.
func (a *Admin) Configs(ctx context.Context, of Owner, names []string, only ...string) (map[string]Configs, error) {
	all := make(map[string]Configs, len(names))
	for chunk := range slices.Chunk(names, configsAtOnce) {
		req := kmsg.NewPtrDescribeConfigsRequest()
		req.IncludeSynonyms = true
		for _, name := range chunk {
			if err := a.openConfigs(of, name); err != nil {
				all[name] = Configs{Err: err}
				continue
			}
			r := kmsg.NewDescribeConfigsRequestResource()
			r.ResourceType, r.ResourceName, r.ConfigNames = of, name, only
			req.Resources = append(req.Resources, r)
		}
		if len(req.Resources) == 0 {
			continue
		}
		resp, err := req.RequestWith(ctx, a.brokers)
		if err != nil {
			return nil, failed(err)
		}
		for i := range resp.Resources {
			r := &resp.Resources[i]
			all[r.ResourceName] = Configs{newConfigs(r.Configs), refused(r.ErrorCode, r.ErrorMessage)}
		}
	}
	return all, nil
}

func (a *Admin) openConfigs(of Owner, name string) error {
	if of == OfTopic {
		return a.open(name)
	}
	return nil
}

// settleConfigs waits until a broker shows the changes of the last owner that were taken: it gets
// them in order.
func (a *Admin) settleConfigs(ctx context.Context, of Owner, asked []kmsg.IncrementalAlterConfigsRequestResource, changes map[string][]SetConfig, refusals map[string]error) {
	asked = slices.DeleteFunc(asked, func(r kmsg.IncrementalAlterConfigsRequestResource) bool { return refusals[r.ResourceName] != nil })
	if len(asked) == 0 {
		return
	}
	last := asked[len(asked)-1].ResourceName
	var names []string
	for _, set := range changes[last] {
		names = append(names, set.Name)
	}
	a.settle(ctx, func(ctx context.Context) bool {
		found, err := a.Configs(ctx, of, []string{last}, names...)
		if err != nil || found[last].Err != nil {
			return false
		}
		now := map[string]Config{}
		for _, c := range found[last].All {
			now[c.Name] = c
		}
		return !slices.ContainsFunc(changes[last], func(set SetConfig) bool { return !set.shown(of, last, now) })
	})
}

// shown reports whether settings of the owner are as the change wants them. A secret is not shown.
func (s *SetConfig) shown(of Owner, name string, now map[string]Config) bool {
	own := kmsg.ConfigSourceDynamicTopicConfig
	switch {
	case of == OfBroker && name == AllBrokers:
		own = kmsg.ConfigSourceDynamicDefaultBrokerConfig
	case of == OfBroker:
		own = kmsg.ConfigSourceDynamicBrokerConfig
	}
	c, there := now[s.Name]
	if s.Value == nil {
		return !there || c.Source != own.String()
	}
	return there && (c.Sensitive || c.Value != nil && *c.Value == *s.Value)
}

func newConfigs(described []kmsg.DescribeConfigsResponseResourceConfig) []Config {
	all := make([]Config, 0, len(described))
	for i := range described {
		d := &described[i]
		c := Config{Name: d.Name, Value: d.Value, ReadOnly: d.ReadOnly, Sensitive: d.IsSensitive, Source: d.Source.String()}
		if c.Sensitive {
			c.Value = nil
		}
		for _, s := range d.ConfigSynonyms {
			synonym := Synonym{s.Name, s.Value, s.Source.String()}
			if c.Sensitive {
				synonym.Value = nil
			}
			c.Synonyms = append(c.Synonyms, synonym)
		}
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b Config) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// The operations of an incremental change (KIP-339).
const (
	setConfig    kmsg.IncrementalAlterConfigOp = 0
	deleteConfig kmsg.IncrementalAlterConfigOp = 1
)

// AlterConfigs changes settings of owners, and returns when a broker shows it. Kafka takes or
// refuses the changes of each owner as a whole; the errors are by owner, without those that it has
// taken. With validateOnly nothing changes.
func (a *Admin) AlterConfigs(ctx context.Context, of Owner, changes map[string][]SetConfig, validateOnly bool) (map[string]error, error) {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.ValidateOnly = validateOnly
	refusals := make(map[string]error)
	for name, sets := range changes {
		if err := a.openConfigs(of, name); err != nil {
			refusals[name] = err
			continue
		}
		r := kmsg.NewIncrementalAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName = of, name
		for _, set := range sets {
			c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
			c.Name, c.Value, c.Op = set.Name, set.Value, setConfig
			if set.Value == nil {
				c.Op = deleteConfig
			}
			r.Configs = append(r.Configs, c)
		}
		req.Resources = append(req.Resources, r)
	}
	if len(req.Resources) == 0 {
		return refusals, nil
	}
	resp, err := req.RequestWith(ctx, a.brokers)
	if err != nil {
		return nil, failed(err)
	}
	if len(resp.Resources) != len(req.Resources) {
		return nil, failed(kerr.UnknownServerError)
	}
	for _, r := range resp.Resources {
		if err := refused(r.ErrorCode, r.ErrorMessage); err != nil {
			refusals[r.ResourceName] = err
		}
	}
	if !validateOnly {
		a.settleConfigs(ctx, of, req.Resources, changes, refusals)
	}
	a.changed() // v1 and v2 show a topic with its configuration
	return refusals, nil
}
