package kyverno_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/dialect/kyverno"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

const hex = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

// pattern compiles a pattern as a policy's.
func pattern(t *testing.T, field, text string) policy.ImagePattern {
	t.Helper()
	lines := "imageReferences: ['" + text + "']"
	if field == "skipImageReferences" {
		lines = "imageReferences: ['*']\n  skipImageReferences: ['" + text + "']"
	}
	policies := load(t, clusterPolicy("validationFailureAction: Enforce", entryOf(lines)))
	if field == "skipImageReferences" {
		return policies[0].Exclude[0]
	}
	return policies[0].Include[0]
}

func reference(t *testing.T, s string) imageref.Reference {
	t.Helper()
	ref, err := imageref.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func TestIncludes(t *testing.T) {
	cases := map[string]struct {
		reason, pattern, image string
		want                   bool
	}{
		"Everything":                        {"a star is any run", "*", "ghcr.io/acme/app", true},
		"StarCrossesSlashes":                {"also over slashes", "ghcr.io/*", "ghcr.io/a/b/c:v1", true},
		"StarIsEmpty":                       {"and of nothing", "ghcr.io/acme/app*:v1", "ghcr.io/acme/app:v1", true},
		"QuestionMark":                      {"one character", "ghcr.io/acme/ap?:v?", "ghcr.io/acme/app:v1", true},
		"QuestionMarkIsNotNothing":          {"exactly one", "ghcr.io/acme/app:v1?", "ghcr.io/acme/app:v1", false},
		"WholeName":                         {"not a part of it", "ghcr.io/acme", "ghcr.io/acme/app", false},
		"LatestIsWritten":                   {"a name without tag has the tag latest", "ghcr.io/acme/app:latest", "ghcr.io/acme/app", true},
		"DefaultRegistry":                   {"nginx is docker.io/nginx for Kyverno", "docker.io/nginx:*", "nginx", true},
		"R12LibraryIncludes":                {"and docker.io/library/nginx for everybody else", "docker.io/library/*", "nginx", true},
		"R12LibraryWrittenIncludesWithout":  {"either spelling includes", "docker.io/nginx:*", "docker.io/library/nginx:1", true},
		"R12NoRegistry":                     {"the field's own documentation has defaults apply", "nginx:*", "nginx:1", true},
		"R12NoRegistryWithNamespace":        {"the same with a namespace", "acme/*", "docker.io/acme/app", true},
		"R12TagBesideDigest":                {"what was pinned stays covered", "ghcr.io/acme/app:*", "ghcr.io/acme/app:v1@" + hex, true},
		"R12DigestAlone":                    {"nobody can tell which tags the digest has", "ghcr.io/acme/app:*", "ghcr.io/acme/app@" + hex, true},
		"R12DigestAloneUnderATag":           {"the digest may be the tag's", "ghcr.io/acme/app:v1", "ghcr.io/acme/app@" + hex, true},
		"R12Untagged":                       {"a pattern without tag means every tag", "ghcr.io/acme/app", "ghcr.io/acme/app:v1", true},
		"R12DigestForm":                     {"the digest form", "ghcr.io/acme/app@sha256:a*", "ghcr.io/acme/app:v1@" + hex, true},
		"R12TagThatMayBeTheDigest":          {"a tag may resolve to the pattern's digest", "ghcr.io/acme/app@" + hex, "ghcr.io/acme/app:v1", true},
		"R13OtherTagBesideDigest":           {"a made-up tag takes nothing out", "ghcr.io/acme/app:v1", "ghcr.io/acme/app:v2@" + hex, true},
		"R13AnyTagBesideDigest":             {"a made-up tag takes nothing out", "ghcr.io/acme/app:v*", "ghcr.io/acme/app:anything@" + hex, true},
		"R13OtherTagBesideThePatternsOwn":   {"the digest alone decides", "ghcr.io/acme/app:v1@" + hex, "ghcr.io/acme/app:v2@" + hex, true},
		"R13NoTagBesideThePatternsOwn":      {"the digest alone decides", "ghcr.io/acme/app:v1@" + hex, "ghcr.io/acme/app@" + hex, true},
		"OtherDigestBesideTag":              {"another digest is not the pattern's", "ghcr.io/acme/app:v1@sha256:b*", "ghcr.io/acme/app:v1@" + hex, false},
		"OtherRepositoryByDigest":           {"the tag alone counts as matched", "ghcr.io/acme/app:v*", "ghcr.io/acme/other:v1@" + hex, false},
		"PartOfARepositoryByDigest":         {"the whole name before it", "ghcr.io/acme/app:v*", "ghcr.io/acme/app-2@" + hex, false},
		"StarInPlaceOfATag":                 {"a pattern without colon names no tag", "*nginx*", "ghcr.io/acme/redis:v1@" + hex, false},
		"R11AliasInTheImage":                {"an alias is the registry", "docker.io/acme/*", "index.docker.io/acme/app", true},
		"R11AliasInThePattern":              {"also in the pattern", "index.docker.io/acme/*", "acme/app", true},
		"R11AliasUnderAStar":                {"also where a star means it", "*.docker.io/acme/*", "acme/app", true},
		"R11UpperCaseHostInTheImage":        {"a host has no case", "ghcr.io/acme/*", "GHCR.io/acme/app", true},
		"R11DefaultPortInTheImage":          {"the default port says nothing", "ghcr.io/acme/*", "ghcr.io:443/acme/app", true},
		"R11UpperCaseHostInThePattern":      {"a host has no case", "GHCR.io/acme/*", "ghcr.io/acme/app", true},
		"StarInTheHostThatMeansNoHub":       {"a star that means others adds nothing", "*.example.com/acme/*", "acme/app", false},
		"AnotherRegistry":                   {"another registry", "ghcr.io/*", "quay.io/acme/app", false},
		"RegistryWithAPort":                 {"a port is no tag", "localhost:5000/*", "localhost:5000/app:v1", true},
		"RegistryWithAPortAndDigest":        {"a port is no tag beside a digest either", "localhost:5000/*", "localhost:5000/app@" + hex, true},
		"PathsHaveCase":                     {"case counts in the pattern", "ghcr.io/ACME/*", "ghcr.io/acme/app", false},
		"TheDocumentsPattern":               {"as the first document writes it", "ghcr.io/kyverno/test-verify-image:*", "ghcr.io/kyverno/test-verify-image:signed", true},
		"TheDocumentsPatternOtherImage":     {"and not its neighbour", "ghcr.io/kyverno/test-verify-image:*", "ghcr.io/kyverno/test-verify-image-other:signed", false},
		"TheDocumentsSecondPatternLongPath": {"a star over slashes and a digest", "gcr.io/tekton-releases/github.com/tektoncd/*", "gcr.io/tekton-releases/github.com/tektoncd/pipeline/cmd/entrypoint:v0.29.0@" + hex, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := pattern(t, "imageReferences", c.pattern).Includes(reference(t, c.image)); got != c.want {
				t.Errorf("%s: %q includes %q: got %t, want %t", c.reason, c.pattern, c.image, got, c.want)
			}
		})
	}
}

func TestExcludes(t *testing.T) {
	cases := map[string]struct {
		reason, pattern, image string
		want                   bool
	}{
		"Trusted":                      {"as the fifth document writes it", "ghcr.io/trusted/*", "ghcr.io/trusted/app:v1", true},
		"TrustedByDigest":              {"by digest too", "ghcr.io/trusted/*", "ghcr.io/trusted/app@" + hex, true},
		"ByTag":                        {"a tag", "ghcr.io/acme/app:dev-*", "ghcr.io/acme/app:dev-1", true},
		"ByDigest":                     {"a digest", "ghcr.io/acme/app@" + hex, "ghcr.io/acme/app:v1@" + hex, true},
		"AsKyvernoWritesHub":           {"docker.io is not said", "docker.io/nginx:*", "nginx", true},
		"R12LibraryIsNotInserted":      {"Kyverno writes docker.io/nginx", "docker.io/library/*", "nginx", false},
		"R12LibraryIsNotDropped":       {"nor does it take it away", "docker.io/nginx:*", "docker.io/library/nginx", false},
		"R12UntaggedDoesNotExclude":    {"only the exact form does", "ghcr.io/acme/app", "ghcr.io/acme/app:v1", false},
		"R13TagBesideDigest":           {"the tag does not decide what runs", "ghcr.io/acme/app:dev-*", "ghcr.io/acme/app:dev-1@" + hex, false},
		"R13AnyTagBesideDigest":        {"whatever the tag", "ghcr.io/acme/app:*", "ghcr.io/acme/app:v1@" + hex, false},
		"R13TagPatternTakesADigest":    {"the colon of a digest begins no tag", "ghcr.io/acme/*:a*", "ghcr.io/acme/app@" + hex, false},
		"R11AliasInTheImage":           {"another spelling of docker.io", "index.docker.io/acme/*", "index.docker.io/acme/app", false},
		"R11UpperCaseHost":             {"another spelling of ghcr.io", "GHCR.io/trusted/*", "GHCR.io/trusted/app", false},
		"R11UpperCaseHostOfTheImage":   {"another spelling of ghcr.io", "*/trusted/*", "GHCR.io/trusted/app", false},
		"R11DefaultPort":               {"another spelling of ghcr.io", "ghcr.io*/trusted/*", "ghcr.io:443/trusted/app", false},
		"NoRegistryInThePattern":       {"doubt does not exclude", "acme/*", "acme/app", false},
		"AnotherTag":                   {"another tag", "ghcr.io/acme/app:dev", "ghcr.io/acme/app:prod", false},
		"PatternWithDigestAndTagImage": {"a tag is not known to be the digest", "ghcr.io/acme/app@" + hex, "ghcr.io/acme/app:v1", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := pattern(t, "skipImageReferences", c.pattern).Excludes(reference(t, c.image)); got != c.want {
				t.Errorf("%s: %q excludes %q: got %t, want %t", c.reason, c.pattern, c.image, got, c.want)
			}
		})
	}
}

// TestR1PatternsOfADocument: aliases make many patterns of a small file, each of
// which is matched for each image.
func TestR1PatternsOfADocument(t *testing.T) {
	const most, mostBytes, longest = 10_000, 128 << 10, 1024
	repeated := func(count, length, entries int) string {
		list := strings.Repeat("'*"+strings.Repeat("a", length-1)+"', ", count)
		text := []string{entryOf("imageReferences: &p [" + strings.TrimSuffix(list, ", ") + "]")}
		for range entries - 1 {
			text = append(text, entryOf("imageReferences: *p"))
		}
		return clusterPolicy("validationFailureAction: Enforce", text...)
	}
	const references = "].imageReferences"
	const entries = "spec.rules[0].verifyImages["
	cases := map[string]struct {
		reason, text string
		want         []string
	}{
		"AsMany":    {"the most that load", repeated(1000, 2, most/1000), nil},
		"TooMany":   {"one entry more, reported once", repeated(1000, 2, most/1000+2), []string{entries + "10" + references + "[0]"}},
		"AsLong":    {"the longest together", repeated(mostBytes/longest/2, longest, 2), nil},
		"TooLong":   {"longer together", repeated(mostBytes/longest/2, longest, 4), []string{entries + "2" + references + "[0]"}},
		"OneOfThem": {"longer than any reference", repeated(1, longest+1, 1), []string{entries + "0" + references + "[0]"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := compile(t, "p.yaml", c.text, fakeSigners{}, kyverno.Options{})
			if diff := cmp.Diff(c.want, paths(t, err)); diff != "" {
				t.Errorf("%s (-want +got):\n%s\n%v", c.reason, diff, err)
			}
		})
	}
}

// TestR11AliasesAreDockerHub: what a host with a star is taken to mean is what
// references are taken to mean.
func TestR11AliasesAreDockerHub(t *testing.T) {
	for _, host := range []string{"index.docker.io", "registry-1.docker.io", "registry.docker.io", "registry.hub.docker.com"} {
		if !pattern(t, "imageReferences", host[:len(host)-1]+"?/acme/*").Includes(reference(t, host+"/acme/app")) {
			t.Errorf("a pattern that means %s does not include it", host)
		}
		if got := reference(t, host+"/acme/app").Repository().Host(); got != "docker.io" {
			t.Errorf("%s: got %s, want docker.io", host, got)
		}
	}
}

// FuzzImagePattern: what a pattern excludes, it includes, whatever the spelling.
func FuzzImagePattern(f *testing.F) {
	f.Add("ghcr.io/*", "ghcr.io/acme/app:v1")
	f.Add("docker.io/nginx:*", "nginx@"+hex)
	f.Add("*:a*", "localhost:5000/a:b@"+hex)
	f.Add("index.docker.io/?*", "index.docker.io/a/b")
	f.Fuzz(func(t *testing.T, text, image string) {
		ref, err := imageref.Parse(image)
		if err != nil || strings.ContainsAny(text, "'\n\r\\") {
			return
		}
		policies, err := compile(t, "f.yaml", clusterPolicy("validationFailureAction: Enforce",
			entryOf("imageReferences: ['"+text+"', '*']\n  skipImageReferences: ['"+text+"']")), fakeSigners{}, kyverno.Options{})
		if err != nil {
			return
		}
		include, exclude := policies[0].Include[0], policies[0].Exclude[0]
		if exclude.Excludes(ref) && !include.Includes(ref) {
			t.Errorf("%q excludes %q and does not include it", text, image)
		}
		if canonical := ref.Canonical(); include.Includes(ref) != include.Includes(canonical) && !include.Includes(ref) {
			t.Errorf("%q includes %q and not %q", text, canonical, image)
		}
	})
}
