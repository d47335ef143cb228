package v3

import (
	"math"
	"slices"
	"strings"

	"millrace/admin"
	"millrace/internal/apierr"
	"millrace/server"
)

// features are what the versions of the cluster's abilities are, as of its metadata. The Confluent
// proxy does not have them.
type features struct{ *shared }

func (s *features) routes() []server.Route {
	return []server.Route{
		s.pages("/features", "millrace.v3.features.list", server.Cluster, s.list),
		s.change("POST /features:update", "millrace.v3.features.update", server.Cluster, fields(updateFeatures{}), s.update),
	}
}

// feature is the description of one feature.
type feature struct {
	Name      string `json:"feature_name"`
	Finalized int16  `json:"version"` // 0: it is off
	Min       int16  `json:"min_version"`
	Max       int16  `json:"max_version"`
}

// list handles GET /features.
func (s *features) list(c *call) error {
	all, err := s.Admin.Features(c.life)
	if err != nil {
		return err
	}
	return respondList(c, listOf[feature]("KafkaFeatureList", c.urls.to("features")), all,
		func(f admin.Feature) string { return f.Name }, func(f admin.Feature) feature { return feature(f) })
}

// updateFeatures is the body of a request that changes the versions of features.
type updateFeatures struct {
	Data         []updateFeature `json:"data" max:"100"`
	ValidateOnly bool            `json:"validate_only"`
}

// updateFeature is one change.
type updateFeature struct {
	Name    text    `json:"feature_name" max:"249"`
	Version *number `json:"version"`
	// Type is one of changeNames; the first without it.
	Type *text `json:"type" max:"64"`
}

// changeNames are the names of ways to another version, from [admin.Upgrade] on.
var changeNames = []string{"UPGRADE", "SAFE_DOWNGRADE", "UNSAFE_DOWNGRADE"}

// update handles POST /features:update: all features of the body change, or none.
func (s *features) update(c *call) error {
	var body updateFeatures
	if err := c.read(&body, noBody); err != nil {
		return err
	}
	if len(body.Data) == 0 {
		return apierr.Unprocessable.New("data is missing or empty.")
	}
	var changes []admin.SetFeature
	versions := map[string]int16{}
	for _, d := range body.Data {
		change, err := d.change()
		if err != nil {
			return err
		}
		if _, twice := versions[change.Name]; twice {
			return apierr.Unprocessable.New("A feature may be in data once: %s.", change.Name)
		}
		versions[change.Name] = change.Version
		changes = append(changes, change)
	}
	c.note("versions", versions)
	c.note("validate_only", body.ValidateOnly)
	if err := s.Admin.UpdateFeatures(c.life, changes, body.ValidateOnly); err != nil {
		return err
	}
	return c.done()
}

func (d updateFeature) change() (f admin.SetFeature, err error) {
	f.Name, f.How = string(d.Name), admin.Upgrade
	if d.Name == "" || d.Version == nil {
		return f, apierr.Unprocessable.New("Each element of data needs feature_name and version.")
	}
	if *d.Version < 0 || *d.Version > math.MaxInt16 {
		return f, apierr.BadRequest.New("version must be from 0 to %d, not %d.", math.MaxInt16, *d.Version)
	}
	f.Version = int16(*d.Version)
	if d.Type == nil {
		return f, nil
	}
	at := slices.Index(changeNames, strings.ToUpper(string(*d.Type)))
	if at < 0 {
		return f, apierr.BadRequest.New("type must be %s, not %q.", strings.Join(changeNames, " or "), string(*d.Type))
	}
	f.How = admin.Upgrade + admin.FeatureChange(at)
	return f, nil
}
