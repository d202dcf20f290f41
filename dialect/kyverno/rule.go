package kyverno

import (
	"slices"
	"strings"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/policy"
)

// annotationAutogen says for which workloads Kyverno makes rules of those that
// match Pods.
const annotationAutogen = "pod-policies.kyverno.io/autogen-controllers"

const (
	podKind     = "Pod"
	cronJobKind = "CronJob"
)

// controllers are the workloads that make Pods, as Kyverno lists them.
func controllers() []string {
	return []string{"DaemonSet", "Deployment", "Job", "StatefulSet", "ReplicaSet", "ReplicationController", cronJobKind}
}

// variant is a rule for a kind of requests: the rule itself, or one that is
// made of it for the workloads that make Pods.
type variant struct {
	prefix string
	// stands are the kinds that "Pod" stands for; nil for the rule itself.
	stands []string
}

func (v variant) generated() bool { return v.stands != nil }

// autogen returns the variants that are made of a rule that matches Pods, none
// if the policy asks for none.
func (c *compiler) autogen() []variant {
	named := c.autogenKinds()
	for i := range c.read.Spec.Rules {
		r := &c.read.Spec.Rules[i]
		if !autogenSupports(r.Match) || !autogenSupports(r.Exclude) {
			return nil
		}
	}
	var variants []variant
	others := slices.DeleteFunc(slices.Clone(named), func(kind string) bool { return kind == cronJobKind })
	if len(others) > 0 {
		variants = append(variants, variant{prefix: "autogen-", stands: others})
	}
	if slices.Contains(named, cronJobKind) {
		variants = append(variants, variant{prefix: "autogen-cronjob-", stands: []string{cronJobKind}})
	}
	return variants
}

func (c *compiler) autogenKinds() []string {
	list, found := c.read.Metadata.Annotations[annotationAutogen]
	switch {
	case !found || list == "all":
		return controllers()
	case list == "none" || list == "":
		return nil
	}
	var named []string
	path := `metadata.annotations["` + annotationAutogen + `"]`
	for kind := range strings.SplitSeq(list, ",") {
		kind = strings.TrimSpace(kind)
		switch {
		case !slices.Contains(controllers(), kind):
			c.Near(path, kind, controllers(), "expected none or a list of %s, got %q", dialect.Either(controllers()), dialect.Clip(kind))
		case !slices.Contains(named, kind):
			named = append(named, kind)
		}
	}
	return named
}

// autogenSupports reports whether Kyverno makes rules of one that selects so:
// by kind and namespace alone, Pods not mixed with other kinds.
func autogenSupports(m *matchResources) bool {
	for _, r := range m.each() {
		if r.Selector != nil || r.Name.set || r.Names.set || r.Annotations.set || len(r.Kinds) > 1 && slices.ContainsFunc(r.Kinds, isPod) {
			return false
		}
	}
	return true
}

func isPod(pattern string) bool { return slices.Contains(kindsOf(pattern, false), podKind) }

// each returns the resources of all filters.
func (m *matchResources) each() []*resources {
	var all []*resources
	if m == nil {
		return nil
	}
	for _, f := range slices.Concat(m.Any, m.All, []resourceFilter{{Resources: m.Resources}}) {
		if f.Resources != nil {
			all = append(all, f.Resources)
		}
	}
	return all
}

// rule returns the policies of a rule: for each variant, each entry and each
// mode that its namespaces ask for.
func (c *compiler) rule(path string, r *rule, generated []variant) []policy.Policy {
	if len(r.VerifyImages) == 0 {
		if !r.Validate.set && !r.Mutate.set && !r.Generate.set { // else it is refused already
			c.Missing(path+".verifyImages", "expected at least one entry, got none")
		}
		return nil
	}
	if !c.AtMost(path+".verifyImages", len(r.VerifyImages), maxEntries) {
		return nil
	}
	variables := c.context(path+".context", r.Context)
	modes := c.modes(path, r)
	match, exclude := c.match(path+".match", r.Match), c.exclusion(path+".exclude", r.Exclude)
	c.optOut(path, match, exclude, modes)
	c.coversSomething(path, match, exclude)
	entries := make([]policy.Policy, len(r.VerifyImages))
	for i := range r.VerifyImages {
		here := dialect.At(path+".verifyImages", i)
		entries[i] = c.entry(here, &r.VerifyImages[i], variables, modes)
		entries[i].Origin = policy.Origin{
			Dialect: Name, Kind: c.Document.Kind.Kind, Namespace: c.Document.Namespace, Name: c.Document.Name,
			Rule: r.Name, Entry: dialect.At("verifyImages", i), File: c.Document.Place(),
		}
	}
	variants := []variant{{}}
	if match.namesPod() {
		variants = append(variants, generated...)
	}
	var compiled []policy.Policy
	for _, v := range variants {
		for i := range entries {
			for _, mode := range modes {
				p := entries[i]
				p.Origin.Rule = cut(v.prefix+r.Name, maxLabelName)
				p.Mode = mode.mode
				p.Match = matcher{variant: v, match: match, exclude: exclude, applies: mode.applies, namespace: c.ownNamespace()}
				compiled = append(compiled, p)
			}
		}
	}
	return compiled
}

// ownNamespace is what a namespaced policy is confined to.
func (c *compiler) ownNamespace() string {
	if c.namespaced {
		return c.Document.Namespace
	}
	return ""
}

func cut(s string, most int) string { return s[:min(len(s), most)] }
