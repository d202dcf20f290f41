package registration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	admission "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

func defaultMutating(w *admission.MutatingWebhook) {
	set(&w.ReinvocationPolicy, admission.NeverReinvocationPolicy)
	defaultCommon(&w.FailurePolicy, &w.MatchPolicy, &w.NamespaceSelector, &w.ObjectSelector, &w.TimeoutSeconds)
	defaultRules(w.Rules, &w.ClientConfig)
}

func defaultValidating(w *admission.ValidatingWebhook) {
	defaultCommon(&w.FailurePolicy, &w.MatchPolicy, &w.NamespaceSelector, &w.ObjectSelector, &w.TimeoutSeconds)
	defaultRules(w.Rules, &w.ClientConfig)
}

func defaultCommon(failure **admission.FailurePolicyType, match **admission.MatchPolicyType, namespaces, objects **metav1.LabelSelector, timeout **int32) {
	set(failure, admission.Fail)
	set(match, admission.Equivalent)
	set(namespaces, metav1.LabelSelector{})
	set(objects, metav1.LabelSelector{})
	set(timeout, defaultTimeout)
}

func defaultRules(rules []admission.RuleWithOperations, client *admission.WebhookClientConfig) {
	for i := range rules {
		set(&rules[i].Scope, admission.AllScopes)
	}
	if client.Service != nil {
		set(&client.Service.Port, defaultPort)
	}
}

func set[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}

// compare names the fields of webhooks that differ, sorted and bounded, and
// returns the caBundles that do.
func compare[W any](have, want []W, of func(*W) (string, *admission.WebhookClientConfig)) (fields []string, bundles [][]byte) {
	byName := map[string]*W{}
	for i := range have {
		name, _ := of(&have[i])
		byName[name] = &have[i]
	}
	for i := range want {
		name, wanted := of(&want[i])
		found := byName[name]
		delete(byName, name)
		path := fmt.Sprintf("webhooks[%s]", name)
		if found == nil {
			fields = append(fields, path+" (missing)")
			continue
		}
		_, client := of(found)
		if !bytes.Equal(client.CABundle, wanted.CABundle) {
			bundles = append(bundles, client.CABundle)
		}
		client.CABundle = wanted.CABundle // told apart: a rotation is no edit
		fields = append(fields, differing(path, asMap(found), asMap(&want[i]))...)
	}
	for name := range byName {
		fields = append(fields, fmt.Sprintf("webhooks[%s] (added)", name))
	}
	if len(fields) == 0 && !sameOrder(have, want, of) {
		fields = append(fields, "webhooks (order)")
	}
	slices.Sort(fields)
	if len(fields) > maxFields {
		fields = append(fields[:maxFields], fmt.Sprintf("and %d more", len(fields)-maxFields))
	}
	return fields, bundles
}

func sameOrder[W any](have, want []W, of func(*W) (string, *admission.WebhookClientConfig)) bool {
	return slices.EqualFunc(have, want, func(a, b W) bool {
		x, _ := of(&a)
		y, _ := of(&b)
		return x == y
	})
}

// asMap is the object as JSON spells it, in which empty and absent lists are one.
func asMap(object any) map[string]any {
	text, err := json.Marshal(object)
	if err != nil {
		return map[string]any{"": err.Error()} // these types always marshal
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		return map[string]any{"": err.Error()}
	}
	return m
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
