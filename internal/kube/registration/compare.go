package registration

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	admission "k8s.io/api/admissionregistration/v1"
)

// maxFields bounds how many fields a log line or Event names.
const maxFields = 12

// The API server's defaults for what a webhook leaves open. Both sides get them
// before they are compared, so that what the API server filled in is no
// difference.
const (
	defaultTimeout = 10
	defaultPort    = 443
)

// A webhook is one as JSON spells it, by which the two kinds are one. What its
// type does not know of a newer API server is not in it: that server has a
// default for it, with which nobody is to quarrel.
type webhook map[string]any

// webhooks are those of a configuration of either kind, with the defaults.
func webhooks(configuration any) ([]webhook, error) {
	text, err := json.Marshal(configuration)
	if err != nil {
		return nil, err
	}
	var is struct {
		Webhooks []webhook `json:"webhooks"`
	}
	if err := json.Unmarshal(text, &is); err != nil {
		return nil, err
	}
	_, mutating := configuration.(*admission.MutatingWebhookConfiguration)
	for _, w := range is.Webhooks {
		w.fillIn(mutating)
	}
	return is.Webhooks, nil
}

// fillIn sets what is open to the API server's default.
func (w webhook) fillIn(mutating bool) {
	fill(w, "failurePolicy", string(admission.Fail))
	fill(w, "matchPolicy", string(admission.Equivalent))
	fill(w, "namespaceSelector", map[string]any{})
	fill(w, "objectSelector", map[string]any{})
	fill(w, "timeoutSeconds", float64(defaultTimeout))
	if mutating {
		fill(w, "reinvocationPolicy", string(admission.NeverReinvocationPolicy))
	}
	rules, _ := w["rules"].([]any)
	for _, rule := range rules {
		if rule, ok := rule.(map[string]any); ok {
			fill(rule, "scope", string(admission.AllScopes))
		}
	}
	if service, ok := w.client()["service"].(map[string]any); ok {
		fill(service, "port", float64(defaultPort))
	}
}

func fill(object map[string]any, field string, value any) {
	if _, given := object[field]; !given {
		object[field] = value
	}
}

func (w webhook) name() string {
	name, _ := w["name"].(string)
	return name
}

func (w webhook) client() map[string]any {
	client, _ := w["clientConfig"].(map[string]any)
	return client
}

// takeBundle removes and returns the authorities.
func (w webhook) takeBundle() string {
	bundle, _ := w.client()["caBundle"].(string)
	delete(w.client(), "caBundle")
	return bundle
}

// compare names the fields of webhooks that differ, sorted and bounded, and
// returns the authorities that do: a rotation is no edit.
func compare(have, want []webhook) (fields, bundles []string) {
	byName := map[string]webhook{}
	for _, w := range have {
		byName[w.name()] = w
	}
	for _, wanted := range want {
		path := fmt.Sprintf("webhooks[%s]", wanted.name())
		found := byName[wanted.name()]
		delete(byName, wanted.name())
		if found == nil {
			fields = append(fields, path+" (missing)")
			continue
		}
		if bundle := found.takeBundle(); bundle != wanted.takeBundle() {
			bundles = append(bundles, bundle)
		}
		fields = append(fields, differing(path, found, wanted)...)
	}
	for name := range byName {
		fields = append(fields, fmt.Sprintf("webhooks[%s] (added)", name))
	}
	if len(fields) == 0 && !slices.EqualFunc(have, want, func(a, b webhook) bool { return a.name() == b.name() }) {
		fields = append(fields, "webhooks (order)")
	}
	slices.Sort(fields)
	if len(fields) > maxFields {
		fields = append(fields[:maxFields], fmt.Sprintf("and %d more", len(fields)-maxFields))
	}
	return fields, bundles
}

// differing names the fields whose values differ, the deepest objects' first
// fields rather than whole objects.
func differing(path string, have, want map[string]any) []string {
	keys := maps.Clone(have)
	maps.Copy(keys, want)
	var fields []string
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		at := path + "." + key
		a, b := have[key], want[key]
		inner, isMap := a.(map[string]any)
		other, areMaps := b.(map[string]any)
		switch {
		case isMap && areMaps:
			fields = append(fields, differing(at, inner, other)...)
		case !reflect.DeepEqual(a, b):
			fields = append(fields, at)
		}
	}
	return fields
}
