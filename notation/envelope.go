package notation

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	mcose "github.com/notaryproject/notation-core-go/signature/cose"
	mjws "github.com/notaryproject/notation-core-go/signature/jws"
	"github.com/notaryproject/tspclient-go"
	"github.com/veraison/go-cose"

	"github.com/bonafide-dev/bonafide/evidence"
)

// Bounds of an envelope, beside the caller's on its bytes. The envelope is
// hostile, and the certificates in it are verified against each other before
// anyone can tell whether the chain is trusted.
const (
	// maxChain bounds a certificate chain. Public hierarchies have 3 or 4.
	maxChain = 10
	// maxCertificate bounds one certificate in bytes. Real ones have 1 to 4 KiB.
	maxCertificate = 64 << 10
	// maxRSABits bounds a key: verifying under a key of a million bits takes
	// minutes. crypto/tls has the same bound (CVE-2023-29409).
	maxRSABits = 8192
	// maxToken bounds a timestamp token in bytes, and maxTokenSigners the
	// signatures in it. Real tokens have some 6 KiB and one signature.
	maxToken        = 256 << 10
	maxTokenSigners = 4
)

// The headers that this package reads by itself, the same in both envelopes
// (signature-specification.md; plugin-extensibility.md).
const (
	headerTimestamp        = "io.cncf.notary.timestampSignature"
	headerPlugin           = "io.cncf.notary.verificationPlugin"
	headerPluginMinVersion = "io.cncf.notary.verificationPluginMinVersion"
)

// envelope is a signature envelope within bounds. Nothing in it is verified.
type envelope struct {
	mediaType string
	blob      []byte // what the library reads
	chain     []*x509.Certificate
	token     []byte // RFC 3161 timestamp token, or empty
	payload   []byte // what is signed
}

// readEnvelope bounds and parses item's payload without believing it.
func readEnvelope(item evidence.Item) (envelope, error) {
	e := envelope{mediaType: item.MediaType}
	var certificates [][]byte
	var err error
	switch item.MediaType {
	case mjws.MediaTypeEnvelope:
		certificates, err = e.readJWS(item.Payload)
	case mcose.MediaTypeEnvelope:
		certificates, err = e.readCOSE(item.Payload)
	default:
		return envelope{}, &evidence.Problem{
			Reason:   evidence.UnsupportedEvidence,
			Expected: fmt.Sprintf("an envelope of type %q or %q", mjws.MediaTypeEnvelope, mcose.MediaTypeEnvelope),
			Got:      fmt.Sprintf("%q", clip(item.MediaType)),
		}
	}
	if err != nil {
		return envelope{}, &evidence.Problem{Reason: evidence.MalformedEvidence, Expected: "a Notation envelope of type " + item.MediaType, Err: err}
	}
	if len(e.token) > maxToken {
		return envelope{}, limit(fmt.Sprintf("a timestamp token of at most %d bytes", maxToken), fmt.Sprintf("%d", len(e.token)))
	}
	return e, e.readChain(certificates)
}

// limit is a bound of this package. It decides: another reading of the same
// bytes would find the same.
func limit(expected, got string) *evidence.Problem {
	return &evidence.Problem{Reason: evidence.MalformedEvidence, Expected: expected, Got: got}
}

func (e *envelope) readChain(certificates [][]byte) error {
	if n := len(certificates); n == 0 || n > maxChain {
		return limit(fmt.Sprintf("a chain of 1 to %d certificates", maxChain), fmt.Sprintf("%d", n))
	}
	for i, der := range certificates {
		if len(der) > maxCertificate {
			return limit(fmt.Sprintf("certificates of at most %d bytes", maxCertificate), fmt.Sprintf("%d", len(der)))
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return &evidence.Problem{Reason: evidence.MalformedEvidence, Expected: "X.509 certificates", Err: fmt.Errorf("read certificate %d: %w", i, err)}
		}
		if n := len(c.RawSubject); n > maxName {
			return limit(fmt.Sprintf("subjects of at most %d bytes", maxName), fmt.Sprintf("%d", n))
		}
		if err := checkKey(c); err != nil {
			return &evidence.Problem{Reason: evidence.CertificateInvalid, Err: err}
		}
		e.chain = append(e.chain, c)
	}
	return nil
}

// checkKey refuses keys that are too expensive to verify with.
func checkKey(c *x509.Certificate) error {
	if key, ok := c.PublicKey.(*rsa.PublicKey); ok && key.N.BitLen() > maxRSABits {
		return fmt.Errorf("certificate %q: expected an RSA key of at most %d bits, got %d", subjectOf(c), maxRSABits, key.N.BitLen())
	}
	return nil
}

// jwsEnvelope is the flattened JSON serialisation (RFC 7515 §7.2.2) with
// Notation's unprotected header (signature-envelope-jws.md).
type jwsEnvelope struct {
	Payload   string    `json:"payload"`
	Protected string    `json:"protected"`
	Header    jwsHeader `json:"header"`
	Signature string    `json:"signature"`
}

type jwsHeader struct {
	Timestamp    []byte   `json:"io.cncf.notary.timestampSignature,omitempty"`
	Chain        [][]byte `json:"x5c"`
	SigningAgent string   `json:"io.cncf.notary.signingAgent,omitempty"`
}

// protectedNames are the members of the protected header that mean something.
// Another spelling of one of them would be read by a lax decoder.
var protectedNames = []string{
	"alg", "cty", "crit",
	"io.cncf.notary.expiry", "io.cncf.notary.signingScheme", "io.cncf.notary.signingTime", "io.cncf.notary.authenticSigningTime",
	headerPlugin, headerPluginMinVersion,
}

// readJWS decodes strictly (TRUST R4) and hands the library our own rendering,
// so that both have read the same.
func (e *envelope) readJWS(raw []byte) ([][]byte, error) {
	var j jwsEnvelope
	if err := evidence.DecodeJSON(raw, &j); err != nil {
		return nil, err
	}
	protected, err := base64.RawURLEncoding.DecodeString(j.Protected)
	if err != nil {
		return nil, fmt.Errorf("read protected header: %w", err)
	}
	var members map[string]any
	if err := evidence.DecodeJSON(protected, &members); err != nil {
		return nil, fmt.Errorf("read protected header: %w", err)
	}
	for name := range members {
		for _, known := range protectedNames {
			if name != known && strings.EqualFold(name, known) {
				return nil, fmt.Errorf("read protected header: expected %q, got %q", known, name)
			}
		}
	}
	if e.blob, err = json.Marshal(j); err != nil {
		return nil, fmt.Errorf("write JWS envelope: %w", err)
	}
	if e.payload, err = base64.RawURLEncoding.DecodeString(j.Payload); err != nil {
		return nil, fmt.Errorf("read payload: %w", err)
	}
	e.token = j.Header.Timestamp
	return j.Header.Chain, nil
}

// readCOSE reads a tagged COSE_Sign1 (RFC 9052 §4.2). The decoder refuses
// repeated labels by itself.
func (e *envelope) readCOSE(raw []byte) ([][]byte, error) {
	var m cose.Sign1Message
	if err := m.UnmarshalCBOR(raw); err != nil {
		return nil, fmt.Errorf("decode COSE: %w", err)
	}
	list, ok := m.Headers.Unprotected[cose.HeaderLabelX5Chain].([]any)
	if !ok {
		return nil, errors.New("expected a certificate chain (x5chain) in the unprotected header")
	}
	certificates := make([][]byte, 0, min(len(list), maxChain+1))
	for _, entry := range list {
		der, ok := entry.([]byte)
		if !ok {
			return nil, errors.New("expected certificates as byte strings in x5chain")
		}
		certificates = append(certificates, der)
	}
	e.blob, e.payload = raw, m.Payload
	e.token, _ = m.Headers.Unprotected[headerTimestamp].([]byte)
	return certificates, nil
}

// boundToken refuses a timestamp token that is too expensive to verify. The
// token is not signed by the signer, so anyone who may push can replace it. One
// that does not parse is left to the verification.
func (e *envelope) boundToken() error {
	if len(e.token) == 0 {
		return nil
	}
	token, err := tspclient.ParseSignedToken(e.token)
	if err != nil {
		return nil //nolint:nilerr // the verification parses it again and decides
	}
	if n := len(token.Certificates); n > maxChain {
		return &evidence.Problem{Reason: evidence.TimestampInvalid, Expected: fmt.Sprintf("a timestamp token with at most %d certificates", maxChain), Got: fmt.Sprintf("%d", n)}
	}
	if n := len(token.SignerInfos); n > maxTokenSigners {
		return &evidence.Problem{Reason: evidence.TimestampInvalid, Expected: fmt.Sprintf("a timestamp token with at most %d signatures", maxTokenSigners), Got: fmt.Sprintf("%d", n)}
	}
	for _, c := range token.Certificates {
		if err := checkKey(c); err != nil {
			return &evidence.Problem{Reason: evidence.TimestampInvalid, Err: err}
		}
	}
	return nil
}
