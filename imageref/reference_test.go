package imageref_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/imageref"
)

type parts struct{ Host, Path, Tag, Digest, String string }

func partsOf(r imageref.Reference) parts {
	return parts{r.Repository().Host(), r.Repository().Path(), r.Tag(), r.Digest().String(), r.String()}
}

func TestParse(t *testing.T) {
	cases := map[string]struct {
		reason string
		in     string
		want   parts
	}{
		"Official":      {"a bare name is Docker Hub's", "nginx", parts{"docker.io", "library/nginx", "latest", "", "docker.io/library/nginx:latest"}},
		"Tag":           {"a tag is kept", "nginx:1.27", parts{"docker.io", "library/nginx", "1.27", "", "docker.io/library/nginx:1.27"}},
		"Namespace":     {"a first component without a dot is a path", "acme/app", parts{"docker.io", "acme/app", "latest", "", "docker.io/acme/app:latest"}},
		"Digest":        {"a digest alone implies no tag", "nginx@" + digestA, parts{"docker.io", "library/nginx", "", digestA, "docker.io/library/nginx@" + digestA}},
		"TagAndDigest":  {"both are kept", "nginx:1@" + digestA, parts{"docker.io", "library/nginx", "1", digestA, "docker.io/library/nginx:1@" + digestA}},
		"Host":          {"a dot makes a host", "ghcr.io/acme/app:v1", parts{"ghcr.io", "acme/app", "v1", "", "ghcr.io/acme/app:v1"}},
		"Port":          {"a colon makes a host", "registry:5000/app", parts{"registry:5000", "app", "latest", "", "registry:5000/app:latest"}},
		"PortNoSlash":   {"without a slash it is a tag", "registry:5000", parts{"docker.io", "library/registry", "5000", "", "docker.io/library/registry:5000"}},
		"Localhost":     {"localhost is a host", "localhost/app", parts{"localhost", "app", "latest", "", "localhost/app:latest"}},
		"OneSegment":    {"library/ belongs to Docker Hub alone", "ghcr.io/app", parts{"ghcr.io", "app", "latest", "", "ghcr.io/app:latest"}},
		"IPv4":          {"an address is a host", "10.0.0.5:5000/app", parts{"10.0.0.5:5000", "app", "latest", "", "10.0.0.5:5000/app:latest"}},
		"IPv6":          {"in brackets", "[fd00::1]:5000/app:v1", parts{"[fd00::1]:5000", "app", "v1", "", "[fd00::1]:5000/app:v1"}},
		"DashSegments":  {"runs of dashes and two underscores separate", "quay.io/a--b/c__d/e.f_g", parts{"quay.io", "a--b/c__d/e.f_g", "latest", "", "quay.io/a--b/c__d/e.f_g:latest"}},
		"HexName":       {"63 characters are no identifier", hexA[1:], parts{"docker.io", "library/" + hexA[1:], "latest", "", "docker.io/library/" + hexA[1:] + ":latest"}},
		"Sha256NotAnID": {"spelled in full, sha256 is a name like others", "docker.io/library/sha256:" + hexA, parts{"docker.io", "library/sha256", hexA, "", "docker.io/library/sha256:" + hexA}},
		"LongestPath":   {"255 characters without the host", "ghcr.io/" + strings.Repeat("a", 255), parts{"ghcr.io", strings.Repeat("a", 255), "latest", "", "ghcr.io/" + strings.Repeat("a", 255) + ":latest"}},
		"LongestTag":    {"128 characters", "a:" + strings.Repeat("b", 128), parts{"docker.io", "library/a", strings.Repeat("b", 128), "", "docker.io/library/a:" + strings.Repeat("b", 128)}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r, err := imageref.Parse(c.in)
			if err != nil {
				t.Fatalf("%s: %v", c.reason, err)
			}
			if diff := cmp.Diff(c.want, partsOf(r)); diff != "" {
				t.Errorf("%s: -want +got:\n%s", c.reason, diff)
			}
			if r.Original() != c.in {
				t.Errorf("%s: want the spelling kept, got %q", c.reason, r.Original())
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	cases := map[string]struct{ reason, in string }{
		"Empty":             {"an empty name is no image", ""},
		"Space":             {"the API server does not trim templates, neither do we", " nginx"},
		"Newline":           {"$ must not stop before a newline", "nginx\n"},
		"UpperPath":         {"paths are lower-case", "ghcr.io/Acme/app"},
		"Scheme":            {"a URL is no reference", "https://ghcr.io/acme/app"},
		"EmptyTag":          {"a colon announces a tag", "nginx:"},
		"EmptyDigest":       {"an at sign announces a digest", "nginx@"},
		"TwoDigests":        {"one digest", "nginx@" + digestA + "@" + digestA},
		"TagAfterDigest":    {"the digest is last", "nginx@" + digestA + ":v1"},
		"TwoTags":           {"one tag", "nginx:a:b"},
		"Sha384":            {"an algorithm that nobody verifies here", "nginx@sha384:" + hexA + strings.Repeat("a", 32)},
		"LongTag":           {"129 characters", "a:" + strings.Repeat("b", 129)},
		"TagBeginsWithDot":  {"a tag begins with a word character", "nginx:.a"},
		"LongPath":          {"256 characters", "ghcr.io/" + strings.Repeat("a", 256)},
		"LongOfficialPath":  {"library/ counts", strings.Repeat("a", 248)},
		"LongHost":          {"longer than DNS", strings.Repeat("a", 260) + ".io/app"},
		"Huge":              {"refused unread", strings.Repeat("a/", 4096)},
		"DotDot":            {"the path goes into URLs", "ghcr.io/../app"},
		"EmptySegment":      {"paths have no empty segments", "ghcr.io//app"},
		"TrailingSlash":     {"paths have no empty segments", "ghcr.io/app/"},
		"LeadingSlash":      {"no host, no first segment", "/app"},
		"HostOnly":          {"a host is no image", "ghcr.io/"},
		"HostTrailingDot":   {"a second spelling of a host", "ghcr.io./app"},
		"HostUnderscore":    {"containerd would split it otherwise", "a_b.c/app"},
		"Userinfo":          {"credentials have no place in a name", "user:secret@ghcr.io/app"},
		"Percent":           {"nothing is decoded", "ghcr.io/a%2fb"},
		"Unicode":           {"homographs", "ghcr.io/аcme/app"},
		"UnicodeHost":       {"homographs", "ghcr․io/app"},
		"KelvinSign":        {"lower-cased it would be a k", "g\u212a.io/app"},
		"Identifier":        {"kubelet refuses it: an identifier is not a name", hexA},
		"Sha256Identifier":  {"containerd's CRI would run the image with that identifier", digestA},
		"Sha512Identifier":  {"containerd's CRI would run the image with that identifier", "sha512:" + hexA + hexA},
		"IPv6NoBrackets":    {"not in the grammar", "fd00::1/app"},
		"IPv6Malformed":     {"the grammar of the runtime admits it, no network does", "[::::]/app"},
		"IPv6Zone":          {"not in the grammar", "[fe80::1%25eth0]/app"},
		"BracketsUnclosed":  {"not in the grammar", "[fd00::1/app"},
		"PortZero":          {"no port", "ghcr.io:0/app"},
		"PortTooLarge":      {"no port", "ghcr.io:65536/app"},
		"PortEmpty":         {"a colon announces a port", "ghcr.io:/app"},
		"PortHuge":          {"no port", "ghcr.io:99999999999999999999/app"},
		"ControlCharacters": {"nothing unprintable", "ghcr.io/a\x00b"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r, err := imageref.Parse(c.in)
			if !errors.Is(err, imageref.ErrReference) || r != (imageref.Reference{}) {
				t.Errorf("%s: Parse(%.80q): want the zero Reference and ErrReference, got %q, %v", c.reason, c.in, r, err)
			}
			if err != nil && len(err.Error()) > 2000 {
				t.Errorf("%s: the message repeats %d bytes of its input", c.reason, len(err.Error()))
			}
		})
	}
}

func TestR11SpellingsOfOneName(t *testing.T) {
	cases := map[string]struct {
		reason    string
		canonical string
		spellings []string
	}{
		"DockerHub": {"aliases, case, port, library/ and latest", "docker.io/library/nginx:latest", []string{
			"nginx", "nginx:latest", "library/nginx", "docker.io/nginx", "docker.io/library/nginx:latest", "DOCKER.IO/nginx", "docker.io:443/nginx",
			"index.docker.io/nginx", "Index.Docker.io:443/library/nginx", "registry-1.docker.io/library/nginx", "registry.hub.docker.com/nginx",
			"registry.docker.io/nginx", "registry.ipv6.docker.com/library/nginx", "hub.docker.com/nginx", "www.docker.com/nginx",
		}},
		"Host": {"case and port", "ghcr.io/acme/app:v1", []string{
			"ghcr.io/acme/app:v1", "GHCR.io/acme/app:v1", "ghcr.io:443/acme/app:v1", "GHCR.IO:443/acme/app:v1",
		}},
		"SingleLabel": {"a host that only its port or case marks keeps the port", "acme:443/app:latest", []string{
			"acme:443/app", "ACME/app", "Acme:443/app:latest",
		}},
		"Localhost": {"localhost needs no mark", "localhost/app:latest", []string{
			"localhost/app", "LOCALHOST/app", "localhost:443/app",
		}},
		"IPv6": {"an address has one spelling", "[fd00::1]/app:latest", []string{
			"[fd00::1]/app", "[FD00::1]/app", "[fd00:0:0:0:0:0:0:1]:443/app", "[fd00:0000::0001]/app",
		}},
		"IPv4InIPv6": {"the same socket is dialled", "127.0.0.1:5000/app:latest", []string{
			"127.0.0.1:5000/app", "[::ffff:7f00:1]:5000/app", "[::FFFF:7F00:0001]:5000/app",
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			want := parse(t, c.canonical)
			for _, s := range c.spellings {
				got := parse(t, s)
				if got.Canonical() != want.Canonical() || got.String() != c.canonical {
					t.Errorf("%s: %q: want %q, got %q", c.reason, s, c.canonical, got)
				}
			}
		})
	}
}

func TestR11DifferentNamesStayApart(t *testing.T) {
	cases := map[string]struct{ reason, a, b string }{
		"Port":              {"another port is another registry", "ghcr.io:8443/acme/app", "ghcr.io/acme/app"},
		"HTTPPort":          {"80 is not the default", "docker.io:80/nginx", "nginx"},
		"SingleLabelHost":   {"the host acme is not Docker Hub's acme", "acme:443/app", "acme/app"},
		"UpperSingleLabel":  {"the host acme is not Docker Hub's acme", "ACME/app", "acme/app"},
		"Subdomain":         {"a domain does not stand for those below it", "evil.docker.io/library/nginx", "nginx"},
		"LibraryElsewhere":  {"library/ is Docker Hub's", "ghcr.io/library/nginx", "ghcr.io/nginx"},
		"TagBesideDigest":   {"canonical keeps the tag", "nginx:1@" + digestA, "nginx@" + digestA},
		"TagCase":           {"tags have case", "nginx:V1", "nginx:v1"},
		"HostInPath":        {"a host is a host only at the front", "evil.io/ghcr.io/acme/app", "ghcr.io/acme/app"},
		"HostWithoutDotted": {"a first component without dot is a path", "ghcr/acme/app", "ghcr.io/acme/app"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if a, b := parse(t, c.a), parse(t, c.b); a.Canonical() == b.Canonical() || a.String() == b.String() {
				t.Errorf("%s: %q and %q: both are %q", c.reason, c.a, c.b, a)
			}
		})
	}
}

func TestR11NumericSpellingsOfAnAddressAreRefused(t *testing.T) {
	for _, host := range []string{
		"10.1", "10.0.1:5000", "0x7f.1", "127.0.0.0x1", "2130706433:5000", "0x7f000001:5000", "010.0.0.1", "10.0.0.256", "1.2.3.4.5", "foo.1", "ghcr.io:0443",
	} {
		if r, err := imageref.Parse(host + "/app"); err == nil {
			t.Errorf("%s: want it refused, got %q", host, r)
		}
	}
	for _, host := range []string{"10.0.0.1", "0.dkr.ecr.eu-west-1.amazonaws.com", "1password.io", "3com.0x.io", "registry-1:5000"} {
		if _, err := imageref.Parse(host + "/app"); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
}

func TestWithTagAndWithDigest(t *testing.T) {
	repository := parse(t, "GHCR.io/acme/app:v1").Repository()
	tagged, err := repository.WithTag("sha256-" + hexA + ".sig")
	if err != nil {
		t.Fatal(err)
	}
	if want := parse(t, "ghcr.io/acme/app:sha256-"+hexA+".sig"); tagged != want {
		t.Errorf("want %q, got %q", want, tagged)
	}
	if got, want := repository.WithDigest(imageref.MustParseDigest(digestA)), parse(t, "ghcr.io/acme/app@"+digestA); got != want {
		t.Errorf("want %q, got %q", want, got)
	}
	for _, tag := range []string{"", "a/b", "a:b", "a@b", ".a", strings.Repeat("a", 129)} {
		if r, err := repository.WithTag(tag); !errors.Is(err, imageref.ErrReference) || !r.IsZero() {
			t.Errorf("WithTag(%.20q): want ErrReference, got %q, %v", tag, r, err)
		}
	}
	if r := repository.WithDigest(imageref.Digest{}); r != (imageref.Reference{}) {
		t.Errorf("want no reference to no digest, got %q", r)
	}
	var none imageref.Repository
	if r := none.WithDigest(imageref.MustParseDigest(digestA)); r != (imageref.Reference{}) {
		t.Errorf("want no reference in no repository, got %q", r)
	}
	if _, err := none.WithTag("v1"); !errors.Is(err, imageref.ErrReference) {
		t.Errorf("want ErrReference, got %v", err)
	}
}

func TestPin(t *testing.T) {
	a, b := imageref.MustParseDigest(digestA), imageref.MustParseDigest(digestB)
	cases := map[string]struct {
		reason string
		in     string
		digest imageref.Digest
		want   string
	}{
		"Tag":         {"the tag and the spelling stay", "GHCR.io/acme/app:v1", a, "GHCR.io/acme/app:v1@" + digestA},
		"ImpliedTag":  {"nothing is written that was not", "nginx", a, "nginx@" + digestA},
		"Digest":      {"a digest already decides what runs", "nginx@" + digestA, b, "nginx@" + digestA},
		"NothingToDo": {"no digest to add", "nginx:1", imageref.Digest{}, "nginx:1"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := parse(t, c.in).Pin(c.digest); got != c.want {
				t.Errorf("%s: want %q, got %q", c.reason, c.want, got)
			}
		})
	}
}

func TestZeroReference(t *testing.T) {
	var r imageref.Reference
	if !r.IsZero() || r.String() != "" || r.Canonical() != r || !r.Repository().IsZero() || r.Repository().String() != "" {
		t.Errorf("want the zero Reference to name nothing, got %q", r)
	}
}

func TestMustParsePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("want a panic")
		}
	}()
	imageref.MustParse("NGINX")
}

func parse(t testing.TB, s string) imageref.Reference {
	t.Helper()
	r, err := imageref.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"nginx", "nginx:1@" + digestA, "ghcr.io/acme/app", "ACME/app", "acme:443/app", "[::ffff:7f00:1]:5000/app", "registry-1.docker.io/nginx", "localhost:443/a",
		"a_b.c/x", "10.1/x", hexA, digestA, "docker.io/library/sha256:" + hexA, "A:0443/b", "a:b@c/d", "k.io/x",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := imageref.Parse(s)
		if err != nil {
			if !errors.Is(err, imageref.ErrReference) || r != (imageref.Reference{}) {
				t.Fatalf("Parse(%q): want the zero Reference and ErrReference, got %q, %v", s, r, err)
			}
			return
		}
		again, err := imageref.Parse(r.String())
		if err != nil {
			t.Fatalf("Parse(%q) of %q: %v", r, s, err)
		}
		if again.Canonical() != r.Canonical() || r.Canonical().Canonical() != r.Canonical() || again.Original() != r.String() {
			t.Fatalf("%q: want %q to name the same, got %q", s, r, again)
		}
		if r.Original() != s || r.Tag() == "" && r.Digest().IsZero() {
			t.Fatalf("%q: malformed state: %#v", s, r)
		}
		for _, other := range spellings(r) {
			o, err := imageref.Parse(other)
			if err != nil {
				t.Fatalf("%q is another spelling of %q: %v", other, s, err)
			}
			if o.Canonical() != r.Canonical() {
				t.Fatalf("%q is another spelling of %q: want %q, got %q", other, s, r, o)
			}
		}
		if pinned, err := imageref.Parse(r.Pin(imageref.MustParseDigest(digestB))); err != nil || pinned.Digest().IsZero() || pinned.Repository() != r.Repository() {
			t.Fatalf("%q pinned: %q, %v", s, pinned, err)
		}
	})
}

// spellings returns other spellings of r (TRUST R11).
func spellings(r imageref.Reference) []string {
	host, rest := r.Repository().Host(), strings.TrimPrefix(r.String(), r.Repository().Host())
	all := []string{strings.ToUpper(host) + rest}
	if i := strings.LastIndexByte(host, ':'); i < 0 || strings.HasSuffix(host, "]") {
		all = append(all, host+":443"+rest)
	}
	if host == "docker.io" {
		all = append(all, "INDEX.docker.io:443"+rest, "registry-1.docker.io"+rest)
		if first, _, _ := strings.Cut(r.Repository().Path(), "/"); first == "library" {
			all = append(all, r.String()[len("docker.io/"):])
		}
	}
	return all
}

func BenchmarkParse(b *testing.B) {
	for b.Loop() {
		if _, err := imageref.Parse("ghcr.io/acme/platform/app:v1.2.3@" + digestA); err != nil {
			b.Fatal(err)
		}
	}
}
