package imageref_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/imageref"
)

func pattern(t testing.TB, s string) imageref.Pattern {
	t.Helper()
	p, err := imageref.ParsePattern(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Whether a pattern includes and excludes a reference.
const (
	neither  = ""
	includes = "includes"
	both     = "includes, excludes"
)

func verdict(p imageref.Pattern, r imageref.Reference) string {
	var words []string
	if p.Includes(r) {
		words = append(words, "includes")
	}
	if p.Excludes(r) {
		words = append(words, "excludes")
	}
	return strings.Join(words, ", ")
}

type match struct{ image, want string }

func TestPattern(t *testing.T) {
	cases := map[string]struct {
		reason  string
		pattern string
		matches []match
	}{
		"Official": {"a name without host is Docker Hub's", "nginx", []match{
			{"nginx", both}, {"nginx:1.27", both}, {"nginx@" + digestA, both}, {"docker.io/library/nginx", both}, {"index.docker.io/nginx", both},
			{"ghcr.io/library/nginx", neither}, {"acme/nginx", neither}, {"nginx-debug", neither}, {"library/nginx/debug", neither},
		}},
		"Star": {"* stays in a segment", "ghcr.io/acme/*", []match{
			{"ghcr.io/acme/app", both}, {"ghcr.io/acme/app:v1", both}, {"ghcr.io/acme/team/app", neither}, {"ghcr.io/acme", neither}, {"ghcr.io/acme2/app", neither},
		}},
		"StarInside": {"* is any run, also an empty one", "ghcr.io/acme/a*p*", []match{
			{"ghcr.io/acme/app", both}, {"ghcr.io/acme/ap", both}, {"ghcr.io/acme/a-x-p", both}, {"ghcr.io/acme/a/p", neither}, {"ghcr.io/acme/xap", neither},
		}},
		"OfficialStar": {"library/ is added to a pattern as to a reference", "docker.io/*", []match{
			{"nginx", both}, {"acme/app", neither},
		}},
		"Below": {"/** crosses; what stands before it is included and not excluded", "ghcr.io/acme/**", []match{
			{"ghcr.io/acme/app", both}, {"ghcr.io/acme/team/app:v1", both}, {"ghcr.io/acme", includes}, {"ghcr.io/acmeevil/app", neither}, {"ghcr.io/x/acme/app", neither},
		}},
		"Middle": {"** in the middle is any number of segments", "ghcr.io/**/app", []match{
			{"ghcr.io/app", both}, {"ghcr.io/a/app", both}, {"ghcr.io/a/b/app", both}, {"ghcr.io/app/a", neither}, {"ghcr.io/a/xapp", neither},
		}},
		"TwoRuns": {"the first ** gives as much as the second needs", "ghcr.io/**/a/**/b", []match{
			{"ghcr.io/a/b", both}, {"ghcr.io/a/a/b", both}, {"ghcr.io/x/a/y/a/z/b", both}, {"ghcr.io/a/x", neither}, {"ghcr.io/b/a", neither},
		}},
		"Host": {"everything on a host", "ghcr.io/**", []match{
			{"ghcr.io/a", both}, {"ghcr.io/a/b/c", both}, {"ghcr.io:8443/a", neither}, {"ghcr.io.evil.com/a", neither}, {"nginx", neither},
		}},
		"DockerHub": {"everything on Docker Hub", "docker.io/**", []match{
			{"nginx", both}, {"acme/app", both}, {"registry-1.docker.io/acme/app", both}, {"quay.io/nginx", neither},
		}},
		"Everything": {"on every host", "**", []match{
			{"nginx", both}, {"ghcr.io/a/b/c:v1@" + digestA, both}, {"acme:443/app", both}, {"[fd00::1]:5000/app", both},
		}},
		"EverythingTagged": {"on every host, not on Docker Hub alone", "**:latest", []match{
			{"nginx", both}, {"ghcr.io/a/b", both}, {"ghcr.io/a/b:v1", neither}, {"ghcr.io/a/b@" + digestA, includes},
		}},
		"HostLabel": {"* stays in a label of the host", "*.corp.example/app", []match{
			{"a.corp.example/app", both}, {"a.b.corp.example/app", neither}, {"corp.example/app", neither}, {"a.corp.example:5000/app", neither},
		}},
		"HostPartOfLabel": {"within a label", "registry-*.corp/app", []match{
			{"registry-eu.corp/app", both}, {"registry.corp/app", neither}, {"registry-eu.evil.corp/app", neither},
		}},
		"AnyPort": {"* as the port is any port", "registry.corp:*/app", []match{
			{"registry.corp/app", both}, {"registry.corp:5000/app", both}, {"registry.corp.evil:5000/app", neither},
		}},
		"Port": {"the default port is dropped", "GHCR.io:443/acme/app", []match{
			{"ghcr.io/acme/app", both}, {"ghcr.io:8443/acme/app", neither},
		}},
		"StarHostPort": {"beside a star too", "*.Corp:443/app", []match{
			{"a.corp/app", both}, {"a.corp:443/app", both}, {"a.corp:5000/app", neither},
		}},
		"SingleLabel": {"a host that only its port marks", "acme:443/**", []match{
			{"acme:443/app", both}, {"ACME/app", both}, {"acme/app", neither},
		}},
		"IPv6": {"no star reaches into an address", "*:5000/app", []match{
			{"registry:5000/app", both}, {"[fd00::1]:5000/app", neither}, {"10.0.0.1:5000/app", neither},
		}},
		"IPv6Literal": {"normalised like a reference's", "[FD00:0::1]:5000/app", []match{
			{"[fd00::1]:5000/app", both},
		}},
		"Tag": {"a tag as written", "nginx:1.27", []match{
			{"nginx:1.27", both}, {"nginx:1.28", neither}, {"nginx", neither},
		}},
		"ImpliedTag": {"a reference without tag means latest", "nginx:latest", []match{
			{"nginx", both}, {"nginx:latest", both}, {"nginx:1", neither},
		}},
		"TagStar": {"a run within the tag", "nginx:1.*", []match{
			{"nginx:1.27", both}, {"nginx:1.", both}, {"nginx:11", neither}, {"nginx:2.1.0", neither},
		}},
		"AnyTag": {"every tag", "nginx:*", []match{
			{"nginx", both}, {"nginx:1.27", both}, {"nginx@" + digestA, includes},
		}},
		"Digest": {"what a tag resolves to may be this digest", "nginx@" + digestA, []match{
			{"nginx@" + digestA, both}, {"nginx:1@" + digestA, both}, {"nginx@" + digestB, neither}, {"nginx:1", includes}, {"acme/app@" + digestA, neither},
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := pattern(t, c.pattern)
			for _, m := range c.matches {
				if got := verdict(p, parse(t, m.image)); got != m.want {
					t.Errorf("%s: %q on %q: want %q, got %q", c.reason, c.pattern, m.image, m.want, got)
				}
			}
		})
	}
}

func TestParsePatternRefuses(t *testing.T) {
	cases := map[string]struct{ reason, in string }{
		"Empty":             {"an empty pattern means nothing", ""},
		"Long":              {"bounded", "ghcr.io/" + strings.Repeat("a", 1020)},
		"LongPath":          {"no reference has such a path", "ghcr.io/" + strings.Repeat("a/", 128) + "*"},
		"LongHost":          {"no reference has such a host", strings.Repeat("*", 260) + ".io/app"},
		"QuestionMark":      {"not in the syntax", "ghcr.io/acme/ap?"},
		"Class":             {"not in the syntax", "ghcr.io/acme/[ab]"},
		"Braces":            {"not in the syntax", "ghcr.io/{a,b}/c"},
		"Backslash":         {"nothing is escaped", `ghcr.io/acme/\*`},
		"StarAlone":         {"people mean every image; ** does", "*"},
		"StarAloneTagged":   {"people mean every image; ** does", "*:latest"},
		"StarFirst":         {"a host or a path", "*/app"},
		"StarsFirst":        {"a host or a path", "**/app"},
		"PartialFirst":      {"a host or a path", "ghcr*/app"},
		"HostAlone":         {"people mean all of it", "ghcr.io"},
		"LocalhostAlone":    {"people mean all of it", "localhost"},
		"TrailingSlash":     {"people mean all below it", "ghcr.io/acme/"},
		"EmptySegment":      {"no reference has one", "ghcr.io//app"},
		"LeadingSlash":      {"no reference begins so", "/app"},
		"StarsInSegment":    {"** is a segment", "ghcr.io/acme/a**"},
		"StarsTwice":        {"one suffices", "ghcr.io/**/**"},
		"ThreeStars":        {"** is a segment", "ghcr.io/***"},
		"StarsInHost":       {"* stays in a label", "**.io/app"},
		"StarInAddress":     {"an address is written out", "[fd00::*]/app"},
		"PartialPort":       {"a port is written out or any", "ghcr.io:5*/app"},
		"PortLeadingZero":   {"no reference has one", "*.io:0443/app"},
		"UpperPath":         {"paths are lower-case", "ghcr.io/Acme/app"},
		"UpperFirst":        {"a path in upper case, or a host?", "Acme/app"},
		"UpperStarPath":     {"paths are lower-case", "ghcr.io/A*"},
		"NeverMatches":      {"no reference has such a path", "ghcr.io/a..b"},
		"NeverMatchesToo":   {"no reference has such a path", "ghcr.io/-a/*"},
		"EmptyTag":          {"a colon announces a tag", "nginx:"},
		"MalformedTag":      {"no reference has such a tag", "nginx:.1"},
		"MalformedStarTag":  {"no reference has such a tag", "nginx:a/*"},
		"LongTag":           {"no reference has such a tag", "nginx:" + strings.Repeat("a", 128) + "*"},
		"EmptyDigest":       {"an at sign announces a digest", "nginx@"},
		"DigestStar":        {"a digest is written out", "nginx@sha256:*"},
		"DigestShort":       {"a digest is written out", "nginx@sha256:abc"},
		"TwoDigests":        {"one digest", "nginx@" + digestA + "@" + digestB},
		"Scheme":            {"a URL is no pattern", "https://ghcr.io/**"},
		"Space":             {"not trimmed", " ghcr.io/**"},
		"Newline":           {"$ must not stop before a newline", "ghcr.io/*\n"},
		"Regexp":            {"not in the syntax", "^ghcr.io/.+$"},
		"UnderscoreHost":    {"no reference has such a host", "a_b.c/*"},
		"NumericStarsLabel": {"no reference has such a host", "10.1/*"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p, err := imageref.ParsePattern(c.in)
			if !errors.Is(err, imageref.ErrPattern) || !p.IsZero() {
				t.Errorf("%s: ParsePattern(%.80q): want the zero Pattern and ErrPattern, got %q, %v", c.reason, c.in, p, err)
			}
			if err != nil && len(err.Error()) > 2000 {
				t.Errorf("%s: the message repeats %d bytes of its input", c.reason, len(err.Error()))
			}
		})
	}
}

// A pattern that is searched for anywhere in a name, or whose star crosses from
// host to path, lets anybody put the trusted name into the path of a registry
// of their own.
func TestR12TrustedNameInsideAnotherName(t *testing.T) {
	for _, trusted := range []string{"ghcr.io/acme/*", "ghcr.io/acme/**", "*.io/acme/*", "gh*.io/acme/app", "ghcr.*/acme/app", "ghcr.io/**", "ghcr.io:*/acme/**"} {
		p := pattern(t, trusted)
		for _, image := range []string{
			"evil.com/ghcr.io/acme/app", "evil.io/ghcr.io/acme/app", "evil.com/x/ghcr.io/acme/app", "evil.com:5000/ghcr.io/acme/app",
			"ghcr.io.evil.com/acme/app", "evil.ghcr.io/acme/app", "evilghcr.io.x/acme/app", "ghcr.ioevil.com/acme/app",
			"docker.io/ghcr.io/acme/app", "[fd00::1]/acme/app", "localhost/ghcr.io/acme/app",
		} {
			if got := verdict(p, parse(t, image)); got != neither {
				t.Errorf("%q on %q: want neither, got %q", trusted, image, got)
			}
		}
	}
}

func TestR12InclusionWithADigest(t *testing.T) {
	cases := map[string]struct{ reason, pattern, image string }{
		"Pinned":       {"an author leaves no policy by pinning", "ghcr.io/acme/app:v*", "ghcr.io/acme/app@" + digestA},
		"OtherTag":     {"nor by another tag beside the digest", "ghcr.io/acme/app:v*", "ghcr.io/acme/app:other@" + digestA},
		"StarHost":     {"nor by an alias of the host", "*.docker.io/acme/**", "index.docker.io/acme/app"},
		"StarHostHub":  {"nor by the name behind the alias", "*.docker.io/acme/**", "acme/app"},
		"AnyPortAlias": {"nor by an alias with a port pattern", "index.docker.io:*/acme/**", "index.docker.io/acme/app"},
		"Official":     {"nor by a namespace that Docker Hub adds", "*.io/nginx", "docker.io/nginx"},
		"OfficialStar": {"nor by a namespace that Docker Hub adds", "*.docker.io/ngin*", "registry-1.docker.io/nginx"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if !pattern(t, c.pattern).Includes(parse(t, c.image)) {
				t.Errorf("%s: want %q to include %q", c.reason, c.pattern, c.image)
			}
		})
	}
	if pattern(t, "*.docker.io/acme/**").Excludes(parse(t, "index.docker.io/acme/app")) {
		t.Error("what is only doubt excludes")
	}
	if pattern(t, "*.io/nginx").Excludes(parse(t, "docker.io/nginx")) {
		t.Error("what is only doubt excludes")
	}
}

func TestR12OperatorAliasBehindAStar(t *testing.T) {
	parser, err := imageref.NewParser(map[string]string{"mirror.corp.example": "ghcr.io", "cache.corp.example": "docker.io"})
	if err != nil {
		t.Fatal(err)
	}
	p, err := parser.ParsePattern("*.corp.example/acme/**")
	if err != nil {
		t.Fatal(err)
	}
	for image, want := range map[string]string{
		"mirror.corp.example/acme/app": includes, "cache.corp.example/acme/app": includes, "other.corp.example/acme/app": both, "quay.io/acme/app": neither,
	} {
		r, err := parser.Parse(image)
		if err != nil {
			t.Fatal(err)
		}
		if got := verdict(p, r); got != want {
			t.Errorf("%q: want %q, got %q", image, want, got)
		}
	}
}

func TestR13TagBesideADigestExcludesNothing(t *testing.T) {
	cases := map[string]struct{ reason, pattern, image string }{
		"Tag":             {"the tag says nothing about what runs", "ghcr.io/acme/app:v1", "ghcr.io/acme/app:v1@" + digestA},
		"AnyTag":          {"nor does any tag", "ghcr.io/acme/app:*", "ghcr.io/acme/app:v1@" + digestA},
		"NoTag":           {"a digest has no tag", "ghcr.io/acme/app:latest", "ghcr.io/acme/app@" + digestA},
		"Everything":      {"not even on every host", "**:v1", "ghcr.io/acme/app:v1@" + digestA},
		"OtherDigest":     {"a digest excludes itself alone", "ghcr.io/acme/app@" + digestA, "ghcr.io/acme/app@" + digestB},
		"UnresolvedTag":   {"what a tag resolves to is not known", "ghcr.io/acme/app@" + digestA, "ghcr.io/acme/app:v1"},
		"DigestElsewhere": {"another repository has another author", "ghcr.io/acme/app@" + digestA, "ghcr.io/evil/app@" + digestA},
		"TagAndDigest":    {"a pattern with a tag excludes no digest", "ghcr.io/acme/app:v1@" + digestA, "ghcr.io/acme/app:v1@" + digestA},
		"TagAndNoDigest":  {"nor a tag that may be another digest", "ghcr.io/acme/app:v1@" + digestA, "ghcr.io/acme/app:v1"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if pattern(t, c.pattern).Excludes(parse(t, c.image)) {
				t.Errorf("%s: %q excludes %q", c.reason, c.pattern, c.image)
			}
		})
	}
}

func TestR11OtherSpellingsOfAHostAreNotExcluded(t *testing.T) {
	p := pattern(t, "registry.corp/**")
	for _, image := range []string{"registry.corp:5000/app", "registry/app", "registry.corp.example/app", "10.0.0.1/app", "registry:443/app", "registry.corp:80/app"} {
		if p.Excludes(parse(t, image)) {
			t.Errorf("%q is excluded by %q", image, p)
		}
	}
	for _, image := range []string{"registry.corp/app", "REGISTRY.corp:443/app"} {
		if !p.Excludes(parse(t, image)) {
			t.Errorf("%q is not excluded by %q", image, p)
		}
	}
}

func TestR48ZeroPatternAndZeroReference(t *testing.T) {
	var zero imageref.Pattern
	if !zero.IsZero() || verdict(zero, parse(t, "nginx")) != neither || verdict(zero, imageref.Reference{}) != neither {
		t.Error("the zero Pattern selects something")
	}
	if everything := pattern(t, "**"); everything.IsZero() || everything.Excludes(imageref.Reference{}) {
		t.Error("what names nothing is excluded")
	}
}

func TestPatternIsAValue(t *testing.T) {
	seen := map[imageref.Pattern]bool{pattern(t, "ghcr.io/*:v*"): true}
	if !seen[pattern(t, "ghcr.io/*:v*")] || seen[pattern(t, "ghcr.io/**:v*")] {
		t.Error("want patterns to be equal exactly if they are spelled alike")
	}
	if s := pattern(t, "GHCR.io:443/acme/*").String(); s != "GHCR.io:443/acme/*" {
		t.Errorf("want the pattern as it was written, got %q", s)
	}
}

// A matcher that tries every way to divide a name among the stars needs longer
// than the age of the universe for these.
func TestR1PatternsThatPunishBacktracking(t *testing.T) {
	deep := "ghcr.io/" + strings.Repeat("**/a/", 40) + "b"
	wide := "ghcr.io/" + strings.Repeat("*a", 120) + "b"
	names := []string{"ghcr.io/" + strings.Repeat("a/", 120) + "a", "ghcr.io/" + strings.Repeat("a", 250)}
	start := time.Now()
	for range 100 {
		for _, p := range []string{deep, wide} {
			for _, name := range names {
				if got := verdict(pattern(t, p), parse(t, name)); got != neither {
					t.Fatalf("%q on %q: %q", p, name, got)
				}
			}
		}
	}
	if spent := time.Since(start); spent > 30*time.Second {
		t.Errorf("matching took %s", spent)
	}
}

func TestMatchingDoesNotAllocate(t *testing.T) {
	p, r := pattern(t, "*.docker.io/**/team-*/*:v*"), parse(t, "docker.io/acme/team-a/app:v1")
	if n := testing.AllocsPerRun(100, func() { _, _ = p.Includes(r), p.Excludes(r) }); n != 0 {
		t.Errorf("want no allocations, got %v", n)
	}
}

func BenchmarkIncludes(b *testing.B) {
	p, r := pattern(b, "ghcr.io/acme/**/app-*"), parse(b, "ghcr.io/acme/team/app-one:v1")
	for b.Loop() {
		if !p.Includes(r) {
			b.Fatal("no match")
		}
	}
}
