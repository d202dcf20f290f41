package sigstore

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// extensionSource is the name of the extension with the repository that was
// built.
const extensionSource = "sourceRepositoryURI"

const (
	fulcioIssuer     = 1 // OIDC issuer as raw bytes
	fulcioRepository = 5 // "owner/name" on GitHub, before there was extensionSource
	fulcioOtherName  = 7 // an identity that is neither URI nor address
	fulcioIssuerV2   = 8 // OIDC issuer as UTF8String
)

// fulcioExtensions are Fulcio's, by the last number of their identifiers below
// 1.3.6.1.4.1.57264.1 (fulcio docs/oid-info.md). Those up to 6 hold raw bytes,
// the others UTF8Strings.
var fulcioExtensions = map[int]string{
	2:                "githubWorkflowTrigger",
	3:                "githubWorkflowSHA",
	4:                "githubWorkflowName",
	fulcioRepository: "githubWorkflowRepository",
	6:                "githubWorkflowRef",
	9:                "buildSignerURI",
	10:               "buildSignerDigest",
	11:               "runnerEnvironment",
	12:               extensionSource,
	13:               "sourceRepositoryDigest",
	14:               "sourceRepositoryRef",
	15:               "sourceRepositoryIdentifier",
	16:               "sourceRepositoryOwnerURI",
	17:               "sourceRepositoryOwnerIdentifier",
	18:               "buildConfigURI",
	19:               "buildConfigDigest",
	20:               "buildTrigger",
	21:               "runInvocationURI",
	22:               "sourceRepositoryVisibilityAtSigning",
}

// fulcioArc is Fulcio's arc of identifiers.
var fulcioArc = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1}

var subjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

// ExtensionNames returns the names of the facts that a Fulcio certificate may
// state beside identity and issuer, sorted.
func ExtensionNames() []string {
	var names []string
	for _, name := range fulcioExtensions {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// facts are what a certificate states.
type facts struct {
	identity   string
	issuer     string
	extensions map[string]string
}

// factsOf reads a certificate's identity and extensions. An identity is its only
// subject alternative name: with two, two readers may see two (TRUST R27).
func factsOf(c *x509.Certificate) (facts, error) {
	f := facts{extensions: make(map[string]string)}
	var err error
	if f.identity, err = identityOf(c); err != nil {
		return facts{}, err
	}
	var old, current *string // two extensions for one thing; an empty one is one too
	for _, e := range c.Extensions {
		if len(e.Id) != len(fulcioArc)+1 || !slices.Equal(e.Id[:len(fulcioArc)], fulcioArc) {
			continue
		}
		number := e.Id[len(fulcioArc)]
		name, known := fulcioExtensions[number]
		if !known && number != fulcioIssuer && number != fulcioIssuerV2 {
			continue // newer than this list, in whatever form
		}
		text, err := extensionText(number, e.Value)
		if err != nil {
			return facts{}, badCertificate(fmt.Sprintf("extension %s with a text", e.Id), "", err)
		}
		switch number {
		case fulcioIssuer:
			old = &text
		case fulcioIssuerV2:
			current = &text
		default:
			f.extensions[name] = text
		}
	}
	switch {
	case old != nil && current != nil && *old != *current:
		return facts{}, badCertificate("one OIDC issuer", quote(*current)+" and "+quote(*old), nil)
	case current != nil:
		f.issuer = *current
	case old != nil:
		f.issuer = *old
	}
	return f, f.agree()
}

// agree compares the two ways to name the repository that was built.
func (f facts) agree() error {
	source, old := f.extensions[extensionSource], f.extensions[fulcioExtensions[fulcioRepository]]
	switch {
	case old == "":
	case source == "":
		f.extensions[extensionSource] = "https://github.com/" + old
	case !strings.HasSuffix(source, "/"+old):
		return badCertificate("one source repository", quote(source)+" and "+quote(old), nil)
	}
	return nil
}

func badCertificate(expected, got string, cause error) error {
	return &evidence.Problem{Reason: evidence.CertificateInvalid, Expected: "a certificate with " + expected, Got: got, Err: cause}
}

// extensionText returns an extension's value: raw, or a UTF8String.
func extensionText(number int, value []byte) (string, error) {
	text := value
	if number > fulcioOtherName {
		s := cryptobyte.String(value)
		var inner cryptobyte.String
		if !s.ReadASN1(&inner, cbasn1.UTF8String) || !s.Empty() {
			return "", errors.New("expected a UTF8String")
		}
		text = inner
	}
	return plain(text)
}

// plain refuses what a reader of a message or a pattern for a line would not see.
func plain(text []byte) (string, error) {
	if !utf8.Valid(text) || slices.ContainsFunc(text, func(b byte) bool { return b < ' ' || b == 0x7f }) {
		return "", errors.New("expected text without control characters")
	}
	return string(text), nil
}

// The tags of a GeneralName (RFC 5280 §4.2.1.6).
const (
	nameOther = 0
	nameMail  = 1
	nameDNS   = 2
	nameURI   = 6
)

// What names of each kind look like. A name in the clothes of another kind would
// escape the constraints that authorities put on that kind (RFC 5280 §4.2.1.10):
// a host that is a mail address, or a user name that is a URI.
var (
	mailName = regexp.MustCompile(`^[^@/\s]+@[^@/\s]+$`)
	dnsName  = regexp.MustCompile(`^[A-Za-z0-9.*_-]+$`)
	uriName  = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:`)
)

// identityOf returns a certificate's only subject alternative name.
func identityOf(c *x509.Certificate) (string, error) {
	names, err := namesOf(c)
	if err != nil {
		return "", badCertificate("a subject alternative name", "", err)
	}
	if len(names) != 1 {
		return "", badCertificate("exactly one subject alternative name", fmt.Sprintf("%d", len(names)), nil)
	}
	return names[0], nil
}

// namesOf returns the subject alternative names of any kind, as they were
// written: one of a kind that is no identity counts, and is empty.
func namesOf(c *x509.Certificate) ([]string, error) {
	var all []string
	for _, e := range c.Extensions {
		if !e.Id.Equal(subjectAltName) {
			continue
		}
		input := cryptobyte.String(e.Value)
		var list cryptobyte.String
		if !input.ReadASN1(&list, cbasn1.SEQUENCE) || !input.Empty() {
			return nil, errors.New("expected a sequence of names")
		}
		for !list.Empty() {
			var name cryptobyte.String
			var tag cbasn1.Tag
			if !list.ReadAnyASN1(&name, &tag) {
				return nil, errors.New("expected a name")
			}
			text, err := nameText(name, tag)
			if err != nil {
				return nil, err
			}
			all = append(all, text)
		}
	}
	return all, nil
}

func nameText(name cryptobyte.String, tag cbasn1.Tag) (string, error) {
	mail, dns, uri := cbasn1.Tag(nameMail).ContextSpecific(), cbasn1.Tag(nameDNS).ContextSpecific(), cbasn1.Tag(nameURI).ContextSpecific()
	if tag == mail || tag == dns || tag == uri {
		text, err := plain(name)
		if err == nil && (tag == mail && !mailName.MatchString(text) || tag == dns && !dnsName.MatchString(text) || tag == uri && !uriName.MatchString(text)) {
			return "", fmt.Errorf("expected a name of its kind, got %s", quote(text))
		}
		return text, err
	}
	if tag != cbasn1.Tag(nameOther).ContextSpecific().Constructed() {
		return "", nil
	}
	var kind asn1.ObjectIdentifier
	var value, text cryptobyte.String
	if !name.ReadASN1ObjectIdentifier(&kind) || !name.ReadASN1(&value, cbasn1.Tag(0).ContextSpecific().Constructed()) {
		return "", errors.New("expected another name with a type and a value")
	}
	if !kind.Equal(append(slices.Clone(fulcioArc), fulcioOtherName)) || !value.ReadASN1(&text, cbasn1.UTF8String) || !value.Empty() {
		return "", nil
	}
	other, err := plain(text)
	if err == nil && (uriName.MatchString(other) || mailName.MatchString(other) && !strings.Contains(other, "!")) {
		return "", fmt.Errorf("expected a user name, got %s", quote(other))
	}
	return other, err
}

// describeCertificate returns the verified facts for people.
func describeCertificate(c *x509.Certificate, f facts) *policy.CertificateFacts {
	fingerprint := sha256.Sum256(c.Raw)
	return &policy.CertificateFacts{
		Identity: f.identity, Issuer: f.issuer, CA: c.Issuer.String(),
		Serial: c.SerialNumber.Text(16), Fingerprint: hex.EncodeToString(fingerprint[:]),
		NotBefore: c.NotBefore, NotAfter: c.NotAfter, Extensions: f.extensions,
	}
}

func testimonyOf(c *policy.CertificateFacts, p proven) policy.Testimony {
	return policy.Testimony{Certificate: c, Entries: p.entries, Timestamps: p.stamped}
}
