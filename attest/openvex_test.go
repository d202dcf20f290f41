package attest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/attest"
	"github.com/bonafide-dev/bonafide/policy"
)

// ones is the digest of the image of these tests, without its algorithm.
const ones = "1111111111111111111111111111111111111111111111111111111111111111"

// vexed returns an OpenVEX document of some statements.
func vexed(statements ...string) string {
	return `{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://acme.example/vex/1","author":"acme","timestamp":"2026-02-01T00:00:00Z","version":1,"statements":[` +
		strings.Join(statements, ",") + `]}`
}

// said returns an OpenVEX statement. Fields are added to it, and stand before
// the others.
func said(name, status, product, fields string) string {
	if status == "not_affected" {
		fields += `"justification":"vulnerable_code_not_in_execute_path",`
	}
	if product != "" {
		fields += `"products":[` + product + `],`
	}
	return fmt.Sprintf(`{%s"vulnerability":{"name":%q},"status":%q}`, fields, name, status)
}

const (
	byPURL     = `{"@id":"pkg:oci/app@sha256%3A` + ones + `?repository_url=ghcr.io/acme"}`
	byHash     = `{"@id":"https://acme.example/app","hashes":{"sha-256":"` + ones + `"}}`
	otherImage = `{"@id":"pkg:oci/app@sha256:2222222222222222222222222222222222222222222222222222222222222222"}`
	january    = `"timestamp":"2026-01-01T00:00:00Z",`
	march      = `"timestamp":"2026-03-01T00:00:00Z",`
)

// parts returns the image as a product of which some components are meant.
func parts(components ...string) string {
	return strings.TrimSuffix(byPURL, "}") + `,"subcomponents":[{"@id":"` + strings.Join(components, `"},{"@id":"`) + `"}]}`
}

const (
	cleared = `openvex.notAffected(predicate, image) == ["CVE-1"]`
	bad     = `openvex.status(predicate, image, "CVE-1") == "affected"`
	pending = `openvex.status(predicate, image, "CVE-1") == "under_investigation"`
	anyVEX  = `openvex.status(predicate, image, "CVE-1") != "x"`
)

func TestOpenVEX(t *testing.T) {
	cases := map[string]struct {
		reason     string
		document   string
		expression string
		want       string
	}{
		"NotAffected":    {"by package URL", vexed(said("CVE-1", "not_affected", byPURL, "")), cleared, "holds"},
		"ByHash":         {"by hash", vexed(said("CVE-1", "not_affected", byHash, "")), cleared, "holds"},
		"ByIdentifier":   {"by the identifier purl", vexed(said("CVE-1", "not_affected", `{"identifiers":{"purl":"pkg:oci/app@sha256:`+ones+`"}}`, "")), cleared, "holds"},
		"ByReference":    {"by the image's name", vexed(said("CVE-1", "not_affected", `{"@id":"ghcr.io/acme/app:v1@sha256:`+ones+`"}`, "")), cleared, "holds"},
		"AmongOthers":    {"one of several products", vexed(said("CVE-1", "not_affected", otherImage+","+byPURL, "")), cleared, "holds"},
		"Impact":         {"an impact statement is a justification", vexed(said("CVE-1", "not_affected", byPURL, "")[:1] + `"impact_statement":"never called","vulnerability":{"name":"CVE-1"},"status":"not_affected","products":[` + byPURL + `]}`), cleared, "holds"},
		"Fixed":          {"a status of its own", vexed(said("CVE-1", "fixed", byPURL, "")), `openvex.fixed(predicate, image) == ["CVE-1"] && openvex.notAffected(predicate, image) == []`, "holds"},
		"Affected":       {"a status of its own", vexed(said("CVE-1", "affected", byPURL, "")), bad + ` && openvex.notAffected(predicate, image) == [] && openvex.fixed(predicate, image) == []`, "holds"},
		"Underway":       {"a status of its own", vexed(said("CVE-1", "under_investigation", byPURL, "")), pending, "holds"},
		"Later":          {"a later statement overrides", vexed(said("CVE-1", "not_affected", byPURL, march), said("CVE-1", "affected", byPURL, january)), cleared, "holds"},
		"Earlier":        {"an earlier one does not", vexed(said("CVE-1", "not_affected", byPURL, january), said("CVE-1", "affected", byPURL, march)), bad, "holds"},
		"OfTheDocument":  {"a statement without time has its document's", vexed(said("CVE-1", "affected", byPURL, ""), said("CVE-1", "not_affected", byPURL, january)), bad, "holds"},
		"SameTime":       {"of two at once the worse counts", vexed(said("CVE-1", "affected", byPURL, march), said("CVE-1", "not_affected", byPURL, march)), bad, "holds"},
		"OtherName":      {"each vulnerability for itself", vexed(said("CVE-1", "not_affected", byPURL, ""), said("CVE-2", "affected", byPURL, march)), cleared, "holds"},
		"Alias":          {"an alias is a name", vexed(`{"vulnerability":{"name":"GHSA-1","aliases":["CVE-1"]},"status":"fixed","products":[` + byPURL + `]}`), `openvex.fixed(predicate, image) == ["GHSA-1", "CVE-1"]`, "holds"},
		"AliasOverrides": {"under either name", vexed(said("CVE-1", "not_affected", byPURL, january), `{`+march+`"vulnerability":{"name":"GHSA-1","aliases":["CVE-1"]},"status":"affected","products":[`+byPURL+`]}`), bad, "holds"},
		"Part":           {"a component of the image", vexed(said("CVE-1", "not_affected", parts("pkg:apk/a"), "")), cleared, "holds"},
		"OtherPart":      {"the worst component counts", vexed(said("CVE-1", "not_affected", parts("pkg:apk/a"), march), said("CVE-1", "affected", parts("pkg:apk/b"), january)), bad, "holds"},
		"SamePart":       {"a component is overridden alone", vexed(said("CVE-1", "not_affected", parts("pkg:apk/a"), march), said("CVE-1", "affected", parts("pkg:apk/a"), january)), cleared, "holds"},
		"PartLater":      {"a part does not clear the whole", vexed(said("CVE-1", "affected", byPURL, january), said("CVE-1", "not_affected", parts("pkg:apk/a"), march)), bad, "holds"},
		"WholeLater":     {"the whole clears its parts", vexed(said("CVE-1", "affected", parts("pkg:apk/a"), january), said("CVE-1", "not_affected", byPURL, march)), cleared, "holds"},
		"WholeSameTime":  {"but not at the same time", vexed(said("CVE-1", "affected", parts("pkg:apk/a"), ""), said("CVE-1", "not_affected", byPURL, "")), bad, "holds"},
		"Statements": {
			"all of it", vexed(said("CVE-1", "not_affected", parts("pkg:apk/b", "pkg:apk/a"), ""), said("CVE-2", "fixed", byPURL, march)),
			`openvex.statements(predicate, image).map(s, s.vulnerability + " " + s.status + " " + s.subcomponent) == ["CVE-1 not_affected pkg:apk/a", "CVE-1 not_affected pkg:apk/b", "CVE-2 fixed "] && openvex.statements(predicate, image)[0].justification == "vulnerable_code_not_in_execute_path" && openvex.statements(predicate, image)[0].time == timestamp("2026-02-01T00:00:00Z")`, "holds",
		},
		"OldForm":      {"v0.0.1 writes texts", `{"@context":"https://openvex.dev/ns","timestamp":"2026-02-01T00:00:00Z","statements":[{"vulnerability":"CVE-1","products":["pkg:oci/app@sha256:` + ones + `"],"subcomponents":["pkg:apk/a"],"status":"not_affected","justification":"component_not_present"}]}`, cleared, "holds"},
		"Subject":      {"products may be the statement's subject", vexed(said("CVE-1", "not_affected", "", "")), `openvex.notAffected(statement, image) == ["CVE-1"]`, "holds"},
		"SubjectKnown": {"products count in the statement, too", vexed(said("CVE-1", "not_affected", otherImage, ""), said("CVE-2", "fixed", byPURL, "")), `openvex.notAffected(statement, image) == []`, "holds"},

		"R32OtherImage":     {"another image's", vexed(said("CVE-1", "not_affected", otherImage, "")), `openvex.notAffected(predicate, image) != ["x"]`, "errs"},
		"R32NoDigest":       {"all versions of an image are none", vexed(said("CVE-1", "not_affected", `{"@id":"pkg:oci/app?repository_url=ghcr.io/acme/app"}`, "")), anyVEX, "errs"},
		"R32Tag":            {"a tag is no digest", vexed(said("CVE-1", "not_affected", `{"@id":"pkg:docker/acme/app@v1"}`, "")), anyVEX, "errs"},
		"R32NoProducts":     {"a predicate by itself has no subject", vexed(said("CVE-1", "not_affected", "", "")), anyVEX, "errs"},
		"R32FixedTag":       {"nor does a tag clear by another status", vexed(said("CVE-1", "fixed", `{"@id":"pkg:oci/app?tag=v1"}`, "")), anyVEX, "errs"},
		"AdverseOtherName":  {"an image of another name has it", vexed(said("CVE-1", "not_affected", byPURL, january), said("CVE-1", "affected", `{"@id":"pkg:oci/other"}`, march)), cleared, "holds"},
		"R32TwoDigests":     {"a product that tells two digests is neither", vexed(said("CVE-1", "not_affected", `{"@id":"pkg:oci/app@sha256:`+strings.Repeat("2", 64)+`","hashes":{"sha-256":"`+ones+`"}}`, "")), anyVEX, "errs"},
		"R32InQualifier":    {"a digest elsewhere in the URL", vexed(said("CVE-1", "not_affected", `{"@id":"pkg:oci/app?x=@sha256:`+ones+`"}`, "")), anyVEX, "errs"},
		"R32AdverseTwo":     {"but it may be the image", vexed(said("CVE-1", "not_affected", byPURL, january), said("CVE-1", "affected", `{"@id":"pkg:oci/app@sha256:`+strings.Repeat("2", 64)+`","hashes":{"sha-256":"`+ones+`"}}`, march)), bad, "holds"},
		"R32AdverseAll":     {"what affects all versions affects this one", vexed(said("CVE-1", "not_affected", byPURL, january), said("CVE-1", "affected", `{"@id":"pkg:oci/app"}`, march)), bad, "holds"},
		"R32AdverseName":    {"or is called as the repository", vexed(said("CVE-1", "not_affected", byPURL, january), said("CVE-1", "under_investigation", `{"@id":"ghcr.io/acme/app:v1"}`, march)), pending, "holds"},
		"R32AdverseNone":    {"or has no product", vexed(said("CVE-1", "not_affected", byPURL, january), said("CVE-1", "affected", "", march)), bad, "holds"},
		"AdverseOther":      {"what another image has does not matter", vexed(said("CVE-1", "not_affected", byPURL, january), said("CVE-1", "affected", otherImage, march)), cleared, "holds"},
		"AdverseElse":       {"nor what something else has", vexed(said("CVE-1", "not_affected", byPURL, january), said("CVE-1", "affected", `{"@id":"pkg:npm/app@1.0.0"}`, march)), cleared, "holds"},
		"R32Unsaid":         {"nothing is said of it", vexed(said("CVE-2", "not_affected", byPURL, "")), anyVEX, "errs"},
		"R32Empty":          {"no statements", vexed(), anyVEX, "errs"},
		"R32Nothing":        {"no document", `{}`, anyVEX, "errs"},
		"R32Null":           {"no document", `null`, anyVEX, "errs"},
		"R32List":           {"no document", `[]`, anyVEX, "errs"},
		"R32NoStatements":   {"no list", `{"@context":"https://openvex.dev/ns/v0.2.0","timestamp":"2026-02-01T00:00:00Z"}`, anyVEX, "errs"},
		"R32Context":        {"another version", strings.Replace(vexed(said("CVE-1", "not_affected", byPURL, "")), "v0.2.0", "v0.3.0", 1), anyVEX, "errs"},
		"R32ContextList":    {"another kind of context", strings.Replace(vexed(said("CVE-1", "not_affected", byPURL, "")), `"https://openvex.dev/ns/v0.2.0"`, `["https://openvex.dev/ns/v0.2.0"]`, 1), anyVEX, "errs"},
		"R32Status":         {"a status that there is not", vexed(said("CVE-1", "unaffected", byPURL, "")), anyVEX, "errs"},
		"R32StatusNone":     {"no status", vexed(said("CVE-1", "", byPURL, "")), anyVEX, "errs"},
		"R32Unjustified":    {"nobody says why", vexed(`{"vulnerability":{"name":"CVE-1"},"status":"not_affected","products":[` + byPURL + `]}`), anyVEX, "errs"},
		"R32UnjustifiedFar": {"a document that is invalid anywhere", vexed(said("CVE-1", "not_affected", byPURL, ""), `{"vulnerability":{"name":"CVE-2"},"status":"not_affected","products":[`+otherImage+`]}`), anyVEX, "errs"},
		"R32Nameless":       {"no vulnerability", vexed(said("", "not_affected", byPURL, "")), anyVEX, "errs"},
		"R32Timeless":       {"no time", strings.Replace(vexed(said("CVE-1", "not_affected", byPURL, "")), `"timestamp":"2026-02-01T00:00:00Z",`, "", 1), anyVEX, "errs"},
		"R32Time":           {"no time", vexed(said("CVE-1", "not_affected", byPURL, `"timestamp":"yesterday",`)), anyVEX, "errs"},
		"R32Products":       {"no list", vexed(`{"vulnerability":{"name":"CVE-1"},"status":"fixed","products":"` + ones + `"}`), anyVEX, "errs"},
		"R32Product":        {"no product", vexed(said("CVE-1", "fixed", `3`, "")), anyVEX, "errs"},
		"R32Part":           {"a component without name", vexed(said("CVE-1", "fixed", strings.TrimSuffix(byPURL, "}")+`,"subcomponents":[{}]}`, "")), anyVEX, "errs"},
		"R32Alias":          {"an alias that is no name", vexed(`{"vulnerability":{"name":"CVE-1","aliases":[1]},"status":"fixed","products":[` + byPURL + `]}`), anyVEX, "errs"},
		"R32Image":          {"an image without digest", vexed(said("CVE-1", "not_affected", byPURL, "")), `openvex.notAffected(predicate, {"repository": "ghcr.io/acme/app"}) != []`, "errs"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			in := stated(tc.document)
			if got := verdict(t, tc.expression, in); got != tc.want {
				condition, _ := attest.CEL(tc.expression, "")
				t.Errorf("%s: want %s, got %s: %v", tc.reason, tc.want, got, condition.Check(t.Context(), in))
			}
		})
	}
}

// stated is about with the image as subject of the statement.
func stated(predicate string) policy.ConditionInput {
	in := about(predicate)
	in.Statement = policy.NewStatement("https://openvex.dev/ns", []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"app","digest":{"sha256":"`+ones+`"}}],"predicateType":"https://openvex.dev/ns","predicate":`+predicate+`}`))
	return in
}

// A statement without products speaks of the subject of its own statement, not
// of any image.
func TestR32VEXWithoutProductsSpeaksOfItsSubject(t *testing.T) {
	in := about(vexed(said("CVE-1", "not_affected", "", ""))) // of another subject
	if got := verdict(t, `openvex.notAffected(statement, image) != ["x"]`, in); got != "errs" {
		t.Errorf("want an error, got %s", got)
	}
}

// Names and components of one statement multiply: the work is refused before it
// is done, or paid.
func TestR1VEXNamesAndComponentsArePaid(t *testing.T) {
	of := func(n int) string {
		names := strings.TrimSuffix(strings.Repeat(`"a%d",`, n), ",")
		all, components := make([]any, n), make([]string, n)
		for i := range n {
			all[i], components[i] = i, fmt.Sprint("pkg:apk/", i)
		}
		return vexed(`{"vulnerability":{"name":"CVE-1","aliases":[` + fmt.Sprintf(names, all...) + `]},"status":"fixed","products":[` + parts(components...) + `]}`)
	}
	const fit = 300
	if took, err := steps(t, `openvex.status(predicate, image, "CVE-1") == "fixed"`, stated(of(fit))); err != nil || took < 8*fit*fit {
		t.Errorf("want it to hold in at least %d steps, got %d, %v", 8*fit*fit, took, err)
	}
	if took, err := steps(t, `openvex.status(predicate, image, "CVE-1") == "fixed"`, stated(of(4_000))); outcome(err) != "errs" || took > 100_000 {
		t.Errorf("want an error soon, got %v after %d steps", err, took)
	}
	if took, err := steps(t, `[1,2,3,4,5,6,7,8,9,10].all(x, openvex.status(predicate, image, "y") == "fixed" || true)`, stated(of(fit))); outcome(err) != "errs" || took != attest.MaxSteps {
		t.Errorf("want errors to be paid, too, got %v after %d steps", err, took)
	}
}
