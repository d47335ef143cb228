package admin

import (
	"cmp"
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Feature is an ability of the Kafka cluster that has versions, as metadata.version.
type Feature struct {
	Name string
	// Finalized is the version that the cluster uses; 0: the feature is off.
	Finalized int16
	// Min and Max are the versions that all brokers support; both are 0 for a feature that some
	// broker does not know.
	Min, Max int16
}

// Features returns the features of the cluster, sorted. It asks every broker, because an upgrade
// is possible only to what all of them support.
func (a *Admin) Features(ctx context.Context) ([]Feature, error) {
	found, err := within(ctx, func() (kadm.BrokersApiVersions, error) { return a.kadm.ApiVersions(ctx) })
	if err != nil {
		return nil, failed(err)
	}
	all := map[string]*Feature{}
	brokers := map[string]int{}
	for _, b := range found.Sorted() {
		if b.Err != nil {
			return nil, failed(b.Err)
		}
		addFeatures(all, brokers, b.Raw())
	}
	var sorted []Feature
	for name, f := range all {
		if brokers[name] < len(found) {
			f.Min, f.Max = 0, 0
		}
		sorted = append(sorted, *f)
	}
	slices.SortFunc(sorted, func(a, b Feature) int { return cmp.Compare(a.Name, b.Name) })
	return sorted, nil
}

// addFeatures adds what one broker tells, and counts the brokers that support a feature.
func addFeatures(all map[string]*Feature, brokers map[string]int, of *kmsg.ApiVersionsResponse) {
	get := func(name string) *Feature {
		if all[name] == nil {
			all[name] = &Feature{Name: name}
		}
		return all[name]
	}
	for _, s := range of.SupportedFeatures {
		f := get(s.Name)
		if brokers[s.Name]++; brokers[s.Name] == 1 {
			f.Min, f.Max = s.MinVersion, s.MaxVersion
		}
		f.Min, f.Max = max(f.Min, s.MinVersion), min(f.Max, s.MaxVersion)
	}
	for _, s := range of.FinalizedFeatures {
		f := get(s.Name)
		f.Finalized = max(f.Finalized, s.MaxVersionLevel)
	}
}

// FeatureChange is the way to another version of a feature.
type FeatureChange int8

// The ways. A downgrade that is not safe may lose what the new version has written.
const (
	Upgrade FeatureChange = iota + 1
	SafeDowngrade
	UnsafeDowngrade
)

// SetFeature is a change of one feature. Version 0 switches it off, which is a downgrade.
type SetFeature struct {
	Name    string
	Version int16
	How     FeatureChange
}

// UpdateFeatures changes the versions of features, all of them or none. With validateOnly nothing
// changes.
func (a *Admin) UpdateFeatures(ctx context.Context, changes []SetFeature, validateOnly bool) error {
	req := kmsg.NewPtrUpdateFeaturesRequest() // kadm leaves out the controller's words
	req.TimeoutMillis, req.ValidateOnly = a.timeoutMillis(), validateOnly
	for _, c := range changes {
		u := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
		u.Feature, u.MaxVersionLevel, u.UpgradeType = c.Name, c.Version, int8(c.How)
		u.AllowDowngrade = c.How != Upgrade // of brokers before 3.3
		req.FeatureUpdates = append(req.FeatureUpdates, u)
	}
	resp, err := req.RequestWith(ctx, a.brokers)
	if err != nil {
		return failed(err)
	}
	if err := refused(resp.ErrorCode, resp.ErrorMessage); err != nil {
		return err
	}
	for _, r := range resp.Results { // of brokers before 4.0
		if err := refused(r.ErrorCode, r.ErrorMessage); err != nil {
			return err
		}
	}
	if validateOnly {
		return nil
	}
	a.settle(ctx, func(ctx context.Context) bool {
		now, err := a.Features(ctx)
		return err == nil && !slices.ContainsFunc(changes, func(c SetFeature) bool { return finalized(now, c.Name) != c.Version })
	})
	return nil
}

// finalized returns the version of a feature that is in use.
func finalized(all []Feature, name string) int16 {
	at := slices.IndexFunc(all, func(f Feature) bool { return f.Name == name })
	if at < 0 {
		return 0
	}
	return all[at].Finalized
}
