package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// child is an entry of an index.
type child struct {
	digest    imageref.Digest
	platform  string // "os/architecture/variant"; empty: none
	mediaType string // empty: an image manifest; "-": none
	about     string // the digest that the statements it holds are about
}

// indexOf stores an index under a tag and returns its digest.
func (r *registry) indexOf(t testing.TB, tagged string, children ...child) imageref.Digest {
	t.Helper()
	repository := tagged[:strings.LastIndex(tagged, ":")]
	entries := []map[string]any{}
	for _, c := range children {
		entry := map[string]any{"mediaType": evidence.MediaTypeImage, "digest": c.digest.String(), "size": len(r.manifests[repository+"@"+c.digest.String()])}
		switch c.mediaType {
		case "":
		case "-":
			delete(entry, "mediaType")
		default:
			entry["mediaType"] = c.mediaType
		}
		if c.platform != "" {
			parts := append(strings.Split(c.platform, "/"), "", "")
			entry["platform"] = map[string]any{"os": parts[0], "architecture": parts[1], "variant": parts[2]}
		}
		if c.about != "" {
			entry["annotations"] = map[string]any{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": c.about}
		}
		entries = append(entries, entry)
	}
	raw, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": evidence.MediaTypeIndex, "manifests": entries})
	if err != nil {
		t.Fatal(err)
	}
	digest := imageref.DigestOf(raw)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.manifests[tagged], r.manifests[repository+"@"+digest.String()] = raw, raw
	return digest
}

// platformsOf pushes an index of an image for each platform and returns their
// digests.
func (h *harness) platformsOf(t testing.TB, platforms ...string) (index imageref.Digest, children []imageref.Digest) {
	t.Helper()
	var entries []child
	for i, p := range platforms {
		d := h.registry.push(t, fmt.Sprintf("reg.test/app:child-%d", i), fmt.Sprintf("%d %s", i, p))
		children = append(children, d)
		entries = append(entries, child{digest: d, platform: p})
	}
	return h.registry.indexOf(t, "reg.test/app:1", entries...), children
}

// each makes a policy ask for each platform, or for those listed.
func each(p policy.Policy, listed ...string) policy.Policy {
	p.Platform = policy.PlatformEach
	for _, l := range listed {
		parts := append(strings.Split(l, "/"), "")
		p.Platforms = append(p.Platforms, evidence.Platform{OS: parts[0], Architecture: parts[1], Variant: parts[2]})
	}
	return p
}

func TestR31EachPlatform(t *testing.T) {
	cases := map[string]struct {
		reason    string
		platforms []string
		signed    []int // children; -1 is the index
		listed    []string
		want      policy.Outcome
		because   evidence.Reason
	}{
		"All":                   {"each is signed", []string{"linux/amd64", "linux/arm64"}, []int{0, 1}, nil, policy.Allowed, ""},
		"One":                   {"one alone is not", []string{"linux/amd64", "linux/arm64"}, []int{0}, nil, policy.Denied, evidence.NotSigned},
		"IndexAlone":            {"that of the index is not theirs", []string{"linux/amd64", "linux/arm64"}, []int{-1}, nil, policy.Denied, evidence.NotSigned},
		"IndexAndOne":           {"nor with one of them", []string{"linux/amd64", "linux/arm64"}, []int{-1, 1}, nil, policy.Denied, evidence.NotSigned},
		"WithoutPlatform":       {"a child without platform may run", []string{"linux/amd64", ""}, []int{0}, nil, policy.Denied, evidence.NotSigned},
		"UnknownPlatform":       {"so may one that only says that it is unknown", []string{"linux/amd64", "unknown/unknown"}, []int{0}, nil, policy.Denied, evidence.NotSigned},
		"Listed":                {"others are ignored", []string{"linux/amd64", "linux/s390x"}, []int{0}, []string{"linux/amd64"}, policy.Allowed, ""},
		"ListedUnsigned":        {"those that count are not", []string{"linux/amd64", "linux/s390x"}, []int{1}, []string{"linux/amd64"}, policy.Denied, evidence.NotSigned},
		"ListedMissing":         {"a platform that counts is not there", []string{"linux/amd64"}, []int{0}, []string{"linux/amd64", "linux/arm64"}, policy.Denied, evidence.PlatformMissing},
		"ListedTwice":           {"two children for one platform: either may run", []string{"linux/amd64", "linux/amd64"}, []int{0}, []string{"linux/amd64"}, policy.Denied, evidence.NotSigned},
		"ListedNoPlatform":      {"one without platform counts whatever is listed", []string{"linux/amd64", ""}, []int{0}, []string{"linux/amd64"}, policy.Denied, evidence.NotSigned},
		"NoPlatformIsNone":      {"and is there for none of them", []string{""}, []int{0}, []string{"linux/amd64"}, policy.Denied, evidence.PlatformMissing},
		"HalfAPlatform":         {"one without architecture counts too", []string{"linux/amd64", "linux/"}, []int{0}, []string{"linux/amd64"}, policy.Denied, evidence.NotSigned},
		"HalfWithoutOS":         {"one without system counts too", []string{"linux/amd64", "/amd64"}, []int{0}, []string{"linux/amd64"}, policy.Denied, evidence.NotSigned},
		"Arm64IsV8":             {"the usual variant", []string{"linux/arm64/v8"}, []int{0}, []string{"linux/arm64"}, policy.Allowed, ""},
		"V8IsArm64":             {"both ways", []string{"linux/arm64"}, []int{0}, []string{"linux/arm64/v8"}, policy.Allowed, ""},
		"ArmIsV7":               {"the usual variant", []string{"linux/arm"}, []int{0}, []string{"linux/arm/v7"}, policy.Allowed, ""},
		"V7IsArm":               {"both ways", []string{"linux/arm/v7", "linux/arm/v6"}, []int{0}, []string{"linux/arm"}, policy.Allowed, ""},
		"V6IsNotArm":            {"another variant is not there", []string{"linux/arm/v6"}, []int{0}, []string{"linux/arm"}, policy.Denied, evidence.PlatformMissing},
		"V8UnsignedBesideArm64": {"both names of one platform count", []string{"linux/arm64", "linux/arm64/v8"}, []int{0}, []string{"linux/arm64"}, policy.Denied, evidence.NotSigned},
		"Alias":                 {"a runtime knows amd64 by other names", []string{"linux/amd64", "linux/x86_64"}, []int{0}, []string{"linux/amd64"}, policy.Denied, evidence.NotSigned},
		"AliasOfArm64":          {"and arm64", []string{"linux/arm64", "linux/aarch64"}, []int{0}, []string{"linux/arm64"}, policy.Denied, evidence.NotSigned},
		"AliasOfArm":            {"and arm", []string{"linux/arm/v7", "linux/armhf"}, []int{0}, []string{"linux/arm"}, policy.Denied, evidence.NotSigned},
		"AliasOfArmV6":          {"of any variant", []string{"linux/arm/v6", "linux/armel"}, []int{0}, []string{"linux/arm/v6"}, policy.Denied, evidence.NotSigned},
		"AliasOf386":            {"and 386", []string{"linux/386", "linux/i386"}, []int{0}, []string{"linux/386"}, policy.Denied, evidence.NotSigned},
		"AliasOfDarwin":         {"and systems", []string{"darwin/arm64", "macos/arm64"}, []int{0}, []string{"darwin/arm64"}, policy.Denied, evidence.NotSigned},
		"V1IsAmd64":             {"the usual variant", []string{"linux/amd64"}, []int{0}, []string{"linux/amd64/v1"}, policy.Allowed, ""},
		"CapitalLetters":        {"in any case", []string{"linux/amd64", "Linux/AMD64"}, []int{0}, []string{"linux/amd64"}, policy.Denied, evidence.NotSigned},
		"OtherVariant":          {"without a variant all count", []string{"linux/amd64", "linux/amd64/v3"}, []int{0}, []string{"linux/amd64"}, policy.Denied, evidence.NotSigned},
		"OtherVariantOfArm64":   {"whatever the architecture", []string{"linux/arm64", "linux/arm64/v9"}, []int{0}, []string{"linux/arm64/v8"}, policy.Denied, evidence.NotSigned},
		"ThatVariant":           {"with one, that", []string{"linux/amd64", "linux/amd64/v3"}, []int{1}, []string{"linux/amd64/v3"}, policy.Allowed, ""},
		"R48Empty":              {"nothing that may run is nothing proven", nil, []int{-1}, nil, policy.Denied, evidence.PlatformMissing},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, engine.Options{}, each(enforce(t, &signer{name: "release"}), tc.listed...))
			index, children := h.platformsOf(t, tc.platforms...)
			for _, i := range tc.signed {
				digest := index
				if i >= 0 {
					digest = children[i]
				}
				h.registry.sign(t, "reg.test/app", digest, "release")
			}
			d := h.ask(t.Context(), "reg.test/app:1")
			because := slices.Compact(reasons(d))
			if d.Outcome != tc.want || (tc.because != "" && !slices.Equal(because, []evidence.Reason{tc.because})) {
				t.Errorf("%s: want %s (%s), got %s %v", tc.reason, tc.want, tc.because, d.Outcome, reasons(d))
			}
			if d.Digest != index || (d.Outcome == policy.Allowed && d.Pinned != "reg.test/app:1@"+index.String()) {
				t.Errorf("want the index %s pinned if allowed, got %s %q", index, d.Digest, d.Pinned)
			}
			if again := h.ask(t.Context(), "reg.test/app:1"); again.Outcome != d.Outcome {
				t.Errorf("asked again: want %s, got %s", d.Outcome, again.Outcome)
			}
		})
	}
}

// A single image is its own only platform; statements of BuildKit do not run.
func TestR31WhatIsNoPlatform(t *testing.T) {
	h := newHarness(t, engine.Options{}, each(enforce(t, &signer{name: "release"})))
	single := h.registry.push(t, "reg.test/app:single", "a")
	h.registry.sign(t, "reg.test/app", single, "release")
	if d := h.ask(t.Context(), "reg.test/app:single"); d.Outcome != policy.Allowed {
		t.Errorf("a single image: want allowed, got %s %v", d.Outcome, reasons(d))
	}
	held := h.registry.push(t, "reg.test/app:held", "statements")
	h.registry.indexOf(t, "reg.test/app:1", child{digest: single, platform: "linux/amd64"}, child{digest: held, platform: "unknown/unknown", about: single.String()})
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Allowed {
		t.Errorf("beside its statements: want allowed, got %s %v", d.Outcome, reasons(d))
	}
	h.registry.indexOf(t, "reg.test/app:2", child{digest: single, platform: "linux/amd64"}, child{digest: held, platform: "linux/arm64", about: single.String()})
	if d := h.ask(t.Context(), "reg.test/app:2"); d.Outcome != policy.Denied {
		t.Errorf("what only says that it holds statements runs: want denied, got %s", d.Outcome)
	}
}

func TestR31NestedIndexes(t *testing.T) {
	for name, tc := range map[string]struct {
		reason    string
		mediaType string // of the entry
		signed    bool
		want      policy.Outcome
	}{
		"Signed":          {"a nested platform is signed", evidence.MediaTypeIndex, true, policy.Allowed},
		"Unsigned":        {"it is not", evidence.MediaTypeIndex, false, policy.Denied},
		"UntypedUnsigned": {"an entry that does not say what it is", "-", false, policy.Denied},
		"UntypedSigned":   {"is found out", "-", true, policy.Allowed},
		"Disguised":       {"one that is no image as its entry says", evidence.MediaTypeImage, true, policy.Undecided},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, engine.Options{}, each(enforce(t, &signer{name: "release"})))
			inner := h.registry.push(t, "reg.test/app:inner", "inner")
			nested := h.registry.indexOf(t, "reg.test/app:nested", child{digest: inner, platform: "linux/arm64"})
			outer := h.registry.push(t, "reg.test/app:outer", "outer")
			h.registry.indexOf(t, "reg.test/app:1", child{digest: outer, platform: "linux/amd64"}, child{digest: nested, mediaType: tc.mediaType})
			// A signature of the nested index is none of what it lists.
			h.registry.sign(t, "reg.test/app", outer, "release")
			h.registry.sign(t, "reg.test/app", nested, "release")
			if tc.signed {
				h.registry.sign(t, "reg.test/app", inner, "release")
			}
			if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != tc.want {
				t.Errorf("%s: want %s, got %s %v", tc.reason, tc.want, d.Outcome, reasons(d))
			}
		})
	}
}

func TestR1IndexesAreBounded(t *testing.T) {
	h := newHarness(t, engine.Options{}, each(enforce(t, &signer{name: "release"})))
	leaf := h.registry.push(t, "reg.test/app:leaf", "leaf")
	h.registry.sign(t, "reg.test/app", leaf, "release")
	deep := child{digest: leaf, platform: "linux/amd64"}
	for range evidence.MaxIndexDepth + 1 {
		deep = child{digest: h.registry.indexOf(t, "reg.test/app:deep", deep), mediaType: evidence.MediaTypeIndex}
	}
	var many, wide []child
	for i := range 9 {
		var inner []child
		for j := range 9 {
			inner = append(inner, child{digest: leaf, platform: fmt.Sprintf("linux/a%d-%d", i, j)})
		}
		wide = append(wide, child{digest: h.registry.indexOf(t, "reg.test/app:inner", inner...), mediaType: evidence.MediaTypeIndex})
	}
	h.registry.indexOf(t, "reg.test/app:wide", wide...)
	for i := range evidence.MaxChildren + 1 {
		many = append(many, child{digest: leaf, platform: fmt.Sprintf("linux/a%d", i)})
	}
	h.registry.indexOf(t, "reg.test/app:many", many...)
	for _, tag := range []string{"deep", "many", "wide"} {
		before := h.registry.count("")
		d := h.ask(t.Context(), "reg.test/app:"+tag)
		if d.Outcome != policy.Undecided || !slices.Equal(reasons(d), []evidence.Reason{evidence.LimitExceeded}) {
			t.Errorf("%s: want undecided (LimitExceeded), got %s %v", tag, d.Outcome, reasons(d))
		}
		if n := h.registry.count("") - before; n > 12 || h.registry.count("referrers") > 0 {
			t.Errorf("%s: want at most 12 requests, and none for what is not all there is, got %d: %v", tag, n, h.registry.asked[before:])
		}
	}
}

// All platforms together stay within the bytes of one decision.
func TestR1PlatformsShareTheDecisionsBytes(t *testing.T) {
	h := newHarness(t, engine.Options{}, each(enforce(t, &signer{name: "release"})))
	var platforms []string
	for i := range 20 {
		platforms = append(platforms, fmt.Sprintf("linux/a%d", i))
	}
	_, children := h.platformsOf(t, platforms...)
	const size = 5 << 20
	contents := map[string]bool{}
	for i, c := range children {
		h.registry.manifests["reg.test/app:sha256-"+c.Hex()+".sig"] = signatures(t, i, 5, size)
	}
	h.registry.setFault(func(_ context.Context, what string) error {
		if strings.HasPrefix(what, "blob") {
			contents[what] = true
			return &evidence.Problem{Reason: evidence.RegistryUnavailable}
		}
		return nil
	})
	h.registry.serial = true
	d := h.ask(t.Context(), "reg.test/app:1")
	if d.Outcome != policy.Undecided || !slices.Contains(reasons(d), evidence.LimitExceeded) {
		t.Errorf("want undecided (LimitExceeded), got %s %v", d.Outcome, reasons(d))
	}
	if asked := int64(len(contents)) * size; asked > evidence.MaxDecisionBytes || asked < evidence.MaxDecisionBytes/2 {
		t.Errorf("bytes asked for: want at most %d and at least half, got %d", evidence.MaxDecisionBytes, asked)
	}
}

// A reader of a decision learns whether the index or a platform was looked at.
func TestFindingsSayWhichDigestWasLookedAt(t *testing.T) {
	release := &signer{name: "release"}
	h := newHarness(t, engine.Options{}, enforce(t, release), each(enforce(t, release), "linux/amd64", "linux/arm64", "linux/s390x"))
	index, children := h.platformsOf(t, "linux/amd64", "linux/arm64")
	h.registry.sign(t, "reg.test/app", children[0], "release")
	d := h.ask(t.Context(), "reg.test/app:1")
	for _, p := range d.Policies {
		if got, want := p.Finding.Of, "index "+index.String(); got != want || p.Finding.Path != want+": require" {
			t.Errorf("%s: want it found of %q, got %q at %q", p.Origin, want, got, p.Finding.Path)
		}
	}
	f := d.Policies[1].Finding
	want := []string{"linux/s390x", "linux/amd64 " + children[0].String() + ": require", "linux/arm64 " + children[1].String() + ": require"}
	if len(f.Children) != len(want) {
		t.Fatalf("want a finding over %d, got one over %d", len(want), len(f.Children))
	}
	for i, child := range f.Children {
		if child.Path != want[i] {
			t.Errorf("want %q, got %q", want[i], child.Path)
		}
		if of := strings.TrimSuffix(want[i], ": require"); i > 0 && child.Of != of {
			t.Errorf("want it found of %q, got %q", of, child.Of)
		}
	}
	h.registry.push(t, "reg.test/app:single", "single")
	if f := h.ask(t.Context(), "reg.test/app:single").Policies[0].Finding; f.Path != "require" || f.Of != "" || f.Outcome != policy.Denied {
		t.Errorf("a single image: want it denied without a word about an index, got %s %q", f.Outcome, f.Path)
	}
	if f.Children[1].Outcome != policy.Allowed || f.Children[2].Outcome != policy.Denied {
		t.Errorf("want amd64 allowed and arm64 denied, got %s and %s", f.Children[1].Outcome, f.Children[2].Outcome)
	}
	steps := ""
	for _, s := range d.Steps {
		steps += s.Name + " " + s.Detail + "\n"
	}
	for _, words := range []string{"platforms 2 of 2", "gather linux/arm64 " + children[1].String()} {
		if !strings.Contains(steps, words) {
			t.Errorf("want a step %q, got:\n%s", words, steps)
		}
	}
}

// What an index calls a platform is its author's text.
func TestR1HostilePlatformNames(t *testing.T) {
	h := newHarness(t, engine.Options{}, each(enforce(t, &signer{name: "release"})))
	h.platformsOf(t, "linux\x1b[31m\n"+strings.Repeat("x", 10_000)+"/amd64")
	f := h.ask(t.Context(), "reg.test/app:1").Policies[0].Finding
	if path := f.Children[0].Path; len(path) > 300 || strings.ContainsAny(path, "\n\x1b") {
		t.Errorf("want a short, printable path, got %q", path)
	}
}

// A proof is of one digest: whether it is asked for as an index, as a platform or
// alone, nothing else is proven.
func TestR34PlatformsAreProvenByTheirOwnDigest(t *testing.T) {
	release := &signer{name: "release"}
	flat, all := enforce(t, release), each(enforce(t, release))
	flat.ByName, all.ByName = "index", "each"
	h := newHarness(t, engine.Options{}, flat, all)
	index, children := h.platformsOf(t, "linux/amd64", "linux/arm64")
	ask := func(ref, name string) policy.Outcome {
		r := request(ref)
		r.Policies = []string{name}
		return h.Decide(t.Context(), r).Images[0].Outcome
	}
	h.registry.sign(t, "reg.test/app", index, "release")
	if got := ask("reg.test/app:1", "index"); got != policy.Allowed {
		t.Errorf("the index is signed: want allowed, got %s", got)
	}
	if got := ask("reg.test/app:1", "each"); got != policy.Denied {
		t.Errorf("remembered of the index: want denied for each platform, got %s", got)
	}
	h.clock.advance(time.Minute)
	for _, c := range children {
		h.registry.sign(t, "reg.test/app", c, "release")
	}
	if got := ask("reg.test/app:1", "each"); got != policy.Allowed {
		t.Errorf("each platform is signed: want allowed, got %s", got)
	}
	other := h.registry.indexOf(t, "reg.test/app:2", child{digest: children[0], platform: "linux/amd64"}, child{digest: children[1], platform: "linux/arm64"}, child{digest: children[0], platform: "linux/386"})
	if got := ask("reg.test/app@"+other.String(), "index"); got != policy.Denied {
		t.Errorf("remembered of the platforms: want another index of them denied, got %s", got)
	}
	before := h.registry.count("")
	if got := ask("reg.test/app:2", "each"); got != policy.Allowed {
		t.Errorf("another index of proven platforms: want allowed, got %s", got)
	}
	if n := h.registry.count("") - before; n != 1 {
		t.Errorf("requests for an index of proven platforms: want the tag alone, got %d: %v", n, h.registry.asked[before:])
	}
}

// What a platform sets aside and does not need is there for the next.
func TestPlatformsWaitForBytes(t *testing.T) {
	h := newHarness(t, engine.Options{}, each(require(t, policy.All{Of: []policy.Requirement{
		policy.Signature{Signer: &signer{name: "here"}}, policy.Signature{Signer: at("there", "reg.test/signatures")},
	}})))
	var platforms []string
	for i := range 12 {
		platforms = append(platforms, fmt.Sprintf("linux/a%d", i))
	}
	_, children := h.platformsOf(t, platforms...)
	for _, c := range children {
		h.registry.sign(t, "reg.test/app", c, "here")
		h.registry.sign(t, "reg.test/signatures", c, "there")
	}
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Allowed {
		t.Errorf("want allowed, got %s %v", d.Outcome, reasons(d))
	}
}

func TestEachPlatformCostsOneDiscovery(t *testing.T) {
	ci := &reader{signer: signer{name: "ci"}} // which could also read what the index holds, had anybody asked
	stated := func(of string) policy.Requirement {
		return policy.Attestation{Claim: policy.Claim{Type: of, Signers: []policy.Signature{{Signer: ci}}}}
	}
	h := newHarness(t, engine.Options{}, each(require(t, policy.All{Of: []policy.Requirement{policy.Signature{Signer: ci}, stated("sbom"), stated("scan")}})))
	_, children := h.platformsOf(t, "linux/amd64", "linux/arm64", "linux/s390x")
	for _, c := range children {
		h.registry.sign(t, "reg.test/app", c, "ci")
		h.registry.attest(t, "reg.test/app", c, "ci sbom "+good, "ci scan "+good)
	}
	if d := h.ask(t.Context(), "reg.test/app:1"); d.Outcome != policy.Allowed {
		t.Fatalf("want allowed, got %s %v", d.Outcome, reasons(d))
	}
	// The tag; for each platform its manifest, two cosign tags and one list; three
	// layers that are the same for all, which may be asked for at the same time.
	lists := h.registry.count("") - h.registry.count("blob")
	if blobs := h.registry.count("blob"); lists != 1+3*4 || blobs > 3*3 {
		t.Errorf("cold: want 13 requests and at most 9 layers, got %d and %d: %v", lists, blobs, h.registry.asked)
	}
	before := h.registry.count("")
	h.ask(t.Context(), "reg.test/app:1")
	if n := h.registry.count("") - before; n != 0 {
		t.Errorf("warm: want no request, got %d: %v", n, h.registry.asked[before:])
	}
}

func TestR48FaultsOfPlatformsAreUndecided(t *testing.T) {
	release := &signer{name: "release"}
	cases := map[string]struct {
		reason string
		fault  func(index, child imageref.Digest, what string) error
	}{
		"IndexUnreadable":    {"what may run is not known", func(index, _ imageref.Digest, what string) error { return outageOf(what, "@"+index.String()) }},
		"PlatformUnreadable": {"a platform cannot be read", func(_, child imageref.Digest, what string) error { return outageOf(what, "@"+child.String()) }},
		"ListUnreadable":     {"nor its signatures", func(_, child imageref.Digest, what string) error { return outageOf(what, child.Hex()+".sig") }},
		"Panic": {"a source panics", func(_, child imageref.Digest, what string) error {
			if strings.Contains(what, child.Hex()) {
				panic("boom")
			}
			return nil
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, engine.Options{}, each(enforce(t, release)))
			index, children := h.platformsOf(t, "linux/amd64", "linux/arm64")
			h.registry.sign(t, "reg.test/app", children[0], "release")
			h.registry.setFault(func(_ context.Context, what string) error { return tc.fault(index, children[1], what) })
			if d := h.ask(t.Context(), "reg.test/app@"+index.String()); d.Outcome != policy.Undecided {
				t.Errorf("%s: want undecided, got %s %v", tc.reason, d.Outcome, reasons(d))
			}
		})
	}
}

func outageOf(what, part string) error {
	if strings.Contains(what, part) {
		return &evidence.Problem{Reason: evidence.RegistryUnavailable, Host: "reg.test"}
	}
	return nil
}

// panics is a condition that panics.
type panics struct{ says }

func (panics) Check(context.Context, policy.ConditionInput) error { panic("boom") }

// What panics over a platform leaves that open, and nothing else.
func TestR48PanicOverAPlatform(t *testing.T) {
	ci := &signer{name: "ci"}
	h := newHarness(t, engine.Options{}, each(require(t, policy.Attestation{Claim: claim(policy.Any, ci, panics{})})), enforce(t, ci))
	index, children := h.platformsOf(t, "linux/amd64", "linux/arm64")
	h.registry.sign(t, "reg.test/app", index, "ci")
	for _, c := range children {
		h.registry.attest(t, "reg.test/app", c, "ci sbom "+good)
	}
	d := h.ask(t.Context(), "reg.test/app:1")
	if len(d.Policies) != 2 || d.Policies[0].Outcome != policy.Undecided || d.Policies[1].Outcome != policy.Allowed {
		t.Errorf("want undecided and allowed, got %+v, %v", d.Policies, d.Problem)
	}
}

// The deadline of a request ends the wait for platforms too.
func TestR45DeadlineLeavesPlatformsUndecided(t *testing.T) {
	h := newHarness(t, engine.Options{}, each(enforce(t, &signer{name: "release"})))
	index, _ := h.platformsOf(t, "linux/amd64", "linux/arm64", "linux/s390x", "linux/386", "linux/ppc64le", "linux/riscv64")
	ctx, cancel := context.WithCancel(t.Context())
	h.registry.setFault(func(asked context.Context, what string) error {
		if strings.Contains(what, index.Hex()) {
			return nil
		}
		cancel()
		<-asked.Done()
		return asked.Err()
	})
	if d := h.ask(ctx, "reg.test/app@"+index.String()); d.Outcome != policy.Undecided {
		t.Errorf("want undecided, got %s", d.Outcome)
	}
}
