package native

import (
	"regexp"
	"slices"
	"strings"

	"github.com/bonafide-dev/bonafide/api/v1alpha1"
	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// maxPatterns bounds images and exclude: each is looked at for each image that
// is decided.
const maxPatterns = 1000

func (c *compiler) include() []policy.ImagePattern {
	if len(c.spec.Images) == 0 {
		c.Missing("spec.images", "expected at least one pattern, got none: the policy would protect nothing")
	}
	return c.patterns("spec.images", c.spec.Images)
}

func (c *compiler) patterns(path string, list []string) []policy.ImagePattern {
	if !c.AtMost(path, len(list), maxPatterns) {
		return nil
	}
	c.unique(path, list)
	var patterns []policy.ImagePattern
	for i, s := range list {
		pattern, err := c.options.Parser.ParsePattern(s)
		if err != nil {
			c.Errorf(dialect.At(path, i), "%w", err)
			continue
		}
		patterns = append(patterns, pattern)
	}
	return patterns
}

func (c *compiler) mode() policy.Mode {
	switch choice(c, "spec.mode", c.spec.Mode, v1alpha1.ModeEnforce, v1alpha1.ModeWarn, v1alpha1.ModeAudit) {
	case 1:
		c.Weaker("spec.mode", "Warn admits what the policy refuses, and tells its author")
		return policy.Warn
	case 2:
		c.Weaker("spec.mode", "Audit admits what the policy refuses, and counts it")
		return policy.Audit
	}
	return policy.Enforce
}

func (c *compiler) onUndecided() policy.OnUndecided {
	const path = "spec.onUndecided"
	switch choice(c, path, c.spec.OnUndecided, v1alpha1.OnUndecidedDeny, v1alpha1.OnUndecidedAllowIfProvenBefore, v1alpha1.OnUndecidedAllow) {
	case 1:
		c.Weaker(path, "AllowIfProvenBefore admits, when it cannot be told, what was proven within the last day")
		return policy.AllowIfProvenBefore
	case 2:
		c.Weaker(path, "Allow admits unproven images during an outage of a registry that the operator has named")
		return policy.AllowUndecidedUnsafe
	}
	return policy.DenyUndecided
}

func (c *compiler) pin() policy.Pin {
	if choice(c, "spec.pin", c.spec.Pin, v1alpha1.PinDigest, v1alpha1.PinNone) == 0 {
		return policy.PinDigest
	}
	c.Weaker("spec.pin", "None leaves tags as they are: a tag that moves after the decision is not noticed")
	if len(c.spec.PinKinds) > 0 {
		c.Errorf("spec.pinKinds", "expected none beside pin: None, got %d", len(c.spec.PinKinds))
	}
	return policy.PinNone
}

// covers refuses exclusions that leave nothing, and notes what pins less than
// every Pod.
func (c *compiler) covers() {
	for i, pattern := range c.spec.Exclude {
		if pattern == "**" || slices.Contains(c.spec.Images, pattern) {
			c.Errorf(dialect.At("spec.exclude", i), "expected a part of spec.images, got all of %q: the policy would cover nothing there", dialect.Clip(pattern))
		}
	}
	if len(c.spec.PinKinds) > 0 && !slices.Contains(c.spec.PinKinds, podKind) {
		c.Weaker("spec.pinKinds", "a Pod keeps its tag: it can move after the decision, and nobody notices")
	}
}

// maxPlatforms bounds spec.platforms: each is looked at for each image.
const maxPlatforms = 20

var platformName = regexp.MustCompile(`^[a-z0-9]{1,32}/[a-z0-9]{1,32}(?:/[a-z0-9]{1,32})?$`)

func (c *compiler) platform() (policy.Platform, []evidence.Platform) {
	each := choice(c, "spec.platform", c.spec.Platform, v1alpha1.PlatformIndex, v1alpha1.PlatformEach) == 1
	const path = "spec.platforms"
	list := c.spec.Platforms
	switch {
	case !each && list != nil:
		c.Missing(path, "expected platform: Each beside it, got %s", v1alpha1.PlatformIndex)
	case list != nil && len(list) == 0:
		c.Errorf(path, "expected at least one platform, got none: leave the field out for every platform")
	case len(list) > 0:
		c.Weaker(path, "children for other platforms are not looked at: what runs on such a machine is not verified")
	}
	if !each {
		return policy.PlatformIndex, nil
	}
	if !c.AtMost(path, len(list), maxPlatforms) {
		return policy.PlatformEach, nil
	}
	c.unique(path, list)
	var all []evidence.Platform
	for i, s := range list {
		if !platformName.MatchString(s) {
			c.Errorf(dialect.At(path, i), "expected a platform such as linux/amd64 or linux/arm/v7, got %q", dialect.Clip(s))
			continue
		}
		parts := append(strings.Split(s, "/"), "")
		all = append(all, evidence.Platform{OS: parts[0], Architecture: parts[1], Variant: parts[2]})
	}
	return policy.PlatformEach, all
}

// podKind is the kind that every workload becomes.
const podKind = "Pod"

// workloadKinds are the kinds whose images are decided (DESIGN §3).
func workloadKinds() []string {
	return []string{
		podKind, "PodTemplate", "ReplicationController", "ReplicaSet", "Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob",
	}
}

// kinds checks a list of kinds: a kind that nobody knows selects nothing, and
// that is never what was meant.
func (c *compiler) kinds(path string, list []string) []string {
	if list != nil && len(list) == 0 {
		c.Errorf(path, "expected at least one kind, got none: leave the field out for every kind")
	}
	c.unique(path, list)
	known := workloadKinds()
	for i, kind := range list {
		if !slices.Contains(known, kind) {
			c.Near(dialect.At(path, i), kind, known, "expected %s, got %q", dialect.Either(known), dialect.Clip(kind))
		}
	}
	return list
}

// optOut applies TRUST R16: a workload's author chooses its labels and its
// kind, and so must not choose whether an enforcing cluster policy applies. A
// namespaced policy only adds to those.
func (c *compiler) optOut(mode policy.Mode) {
	selecting := c.authorSelects()
	allowed := c.spec.AllowAuthorOptOut
	switch {
	case c.namespaced && allowed:
		c.Errorf("spec.allowAuthorOptOut", "expected none: a %s may select by what the author writes", c.Document.Kind.Kind)
	case allowed && selecting != "":
		c.Weaker("spec.allowAuthorOptOut", "a workload's author can write it so that the policy does not apply: it selects by %s", selecting)
	case allowed:
		c.Weaker("spec.allowAuthorOptOut", "it has no effect now: the policy selects by nothing that a workload's author writes")
	case selecting != "" && !c.namespaced && mode == policy.Enforce:
		c.Errorf(selecting, "an enforcing policy that selects by it can be evaded by a workload's author: "+
			"leave it out, or say allowAuthorOptOut: true")
	}
}

// authorSelects returns the path of the first selection by what a workload's
// author writes, or "".
func (c *compiler) authorSelects() string {
	m := c.spec.Match
	switch {
	case m == nil:
		return ""
	case m.ObjectSelector != nil:
		return "spec.match.objectSelector"
	case len(m.Kinds) > 0 && !slices.Contains(m.Kinds, podKind):
		return "spec.match.kinds"
	}
	return ""
}
