package engine

import (
	"cmp"
	"slices"
	"strings"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// counts reports whether a policy that lists platforms asks for a child of an
// index for platform p. A child without one may run anywhere, and counts for every
// policy (TRUST R31).
func counts(listed []evidence.Platform, p evidence.Platform) bool {
	if len(listed) == 0 || p.OS == "" || p.Architecture == "" {
		return true
	}
	return slices.ContainsFunc(listed, func(l evidence.Platform) bool { return covers(l, p) })
}

// covers reports whether a runtime may take a child for platform p where a
// policy lists l. Without a variant l is every variant of its architecture: which
// of them a runtime prefers depends on its version and on the machine.
func covers(l, p evidence.Platform) bool {
	l, p = normal(l), normal(p)
	return l.OS == p.OS && l.Architecture == p.Architecture && (l.Variant == p.Variant || l.Variant == "")
}

// normal spells a platform as runtimes compare it: they know architectures by
// several names, and arm64 without variant is v8, arm v7 (OCI image-spec
// image-index.md, "Platform Variants"; containerd platforms, database.go). An
// index is hostile: a child by another name runs all the same.
func normal(p evidence.Platform) evidence.Platform {
	p = evidence.Platform{OS: strings.ToLower(p.OS), Architecture: strings.ToLower(p.Architecture), Variant: strings.ToLower(p.Variant)}
	if p.OS == "macos" {
		p.OS = "darwin"
	}
	switch p.Architecture {
	case "i386":
		p.Architecture, p.Variant = "386", ""
	case "x86_64", "x86-64", "amd64":
		p.Architecture = "amd64"
		if p.Variant == "v1" {
			p.Variant = ""
		}
	case "aarch64", "arm64":
		p.Architecture = "arm64"
		if p.Variant == "8" || p.Variant == "v8" {
			p.Variant = ""
		}
	case "armhf":
		p.Architecture, p.Variant = "arm", "v7"
	case "armel":
		p.Architecture, p.Variant = "arm", "v6"
	case "arm":
		p.Variant = "v" + strings.TrimPrefix(cmp.Or(p.Variant, "7"), "v")
	}
	return p
}

// byPlatform divides policies into those that are decided by the digest that
// the reference resolves to, and those that each platform of an index must
// satisfy.
func byPlatform(policies []selected) (flat, each []selected) {
	if !slices.ContainsFunc(policies, asksEach) {
		return policies, nil
	}
	for _, p := range policies {
		if asksEach(p) {
			each = append(each, p)
			continue
		}
		flat = append(flat, p)
	}
	return flat, each
}

// asksEach reports whether a policy asks for something of each platform. What is
// decided without evidence is decided for all of them.
func asksEach(p selected) bool {
	if p.Platform != policy.PlatformEach || p.Invalid != nil || p.doubt != nil {
		return false
	}
	leaves := policy.LeavesOf(p.require)
	return len(leaves.Signatures)+len(leaves.Attestations)+len(leaves.Artifacts) > 0
}

// titled names the digest that was looked at: a reader of the decision must know
// whether it was the index or a platform.
func titled(f policy.Finding, title string) policy.Finding {
	f.Of = title
	return placed(f, title)
}

func placed(f policy.Finding, title string) policy.Finding {
	f.Path = title + ": " + f.Path
	children := make([]policy.Finding, len(f.Children))
	for i, child := range f.Children {
		children[i] = placed(child, title)
	}
	if len(children) > 0 {
		f.Children = children
	}
	return f
}
