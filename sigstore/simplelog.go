package sigstore

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// logAnswer is what cosign keeps of the log's answer (cosign
// specs/SIGNATURE_SPEC.md, annotation dev.sigstore.cosign/bundle).
type logAnswer struct {
	SignedEntryTimestamp []byte
	Payload              struct {
		Body           string `json:"body"`
		IntegratedTime int64  `json:"integratedTime"`
		LogIndex       int64  `json:"logIndex"`
		LogID          string `json:"logID"`
	}
}

// logBody is the body of an entry of kind hashedrekord, and of its forerunner
// rekord: the same members (rekor pkg/types/hashedrekord/v0.0.1 and
// pkg/types/rekord/v0.0.1).
type logBody struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Spec       struct {
		Data struct {
			Hash struct {
				Algorithm string `json:"algorithm"`
				Value     string `json:"value"`
			} `json:"hash"`
		} `json:"data"`
		Signature struct {
			Content   []byte `json:"content"`
			PublicKey struct {
				Content []byte `json:"content"`
			} `json:"publicKey"`
		} `json:"signature"`
	} `json:"spec"`
}

// anotherEntry is the problem of an entry whose signature, key, certificate or
// payload is not this one's.
func anotherEntry(what string, cause error) error {
	return badEntry("an entry of this "+what, "one of another "+what, cause)
}

func badEntry(expected, got string, cause error) error {
	return &evidence.Problem{Reason: evidence.LogEntryInvalid, Expected: expected, Got: got, Err: cause}
}

// checkLog verifies the log entry in cosign's annotation without asking the
// log, and returns it. bound checks what the entry's
// body is of.
func (s *Signer) checkLog(annotation string, bound func(body []byte) error) (policy.LogFacts, error) {
	if annotation == "" {
		return policy.LogFacts{}, &evidence.Problem{Reason: evidence.LogEntryMissing, Expected: "an entry in a transparency log", Got: "none"}
	}
	var a logAnswer
	if err := evidence.DecodeJSON([]byte(annotation), &a); err != nil {
		return policy.LogFacts{}, badEntry("a log entry in annotation "+annotationLogEntry, "", err)
	}
	if err := s.checkPromise(a); err != nil {
		return policy.LogFacts{}, err
	}
	body, err := base64.StdEncoding.DecodeString(a.Payload.Body)
	if err != nil {
		return policy.LogFacts{}, badEntry("a log entry's body in base64", "", err)
	}
	if err := bound(body); err != nil {
		return policy.LogFacts{}, err
	}
	return policy.LogFacts{Log: a.Payload.LogID, Index: a.Payload.LogIndex, Time: time.Unix(a.Payload.IntegratedTime, 0)}, nil
}

// checkPromise verifies the signed entry timestamp: a log's signature over the
// entry in canonical JSON (RFC 8785), which is what encoding/json writes for
// these members in this order.
func (s *Signer) checkPromise(a logAnswer) error {
	log, known := s.options.TrustedRoot.root.RekorLogs()[a.Payload.LogID]
	if !known {
		return badEntry("an entry in a log of the trusted root", "one in log "+quote(a.Payload.LogID), nil)
	}
	canonical, err := json.Marshal(struct {
		Body           string `json:"body"`
		IntegratedTime int64  `json:"integratedTime"`
		LogID          string `json:"logID"`
		LogIndex       int64  `json:"logIndex"`
	}{a.Payload.Body, a.Payload.IntegratedTime, a.Payload.LogID, a.Payload.LogIndex})
	if err != nil {
		return badEntry("a log entry", "", err)
	}
	logKey := publicKey{key: log.PublicKey, hashes: []crypto.Hash{log.SignatureHashFunc}}
	if !logKey.verifies(canonical, a.SignedEntryTimestamp) {
		return badEntry("an entry signed by log "+quote(a.Payload.LogID), "a signed entry timestamp that does not verify", nil)
	}
	return nil
}

// checkLogTimes checks that each log's key was in use at all proven times (TRUST
// R26).
func (s *Signer) checkLogTimes(p proven) error {
	for _, entry := range p.entries {
		for _, t := range p.times() {
			if err := withinLog(s.options.TrustedRoot.root.RekorLogs()[entry.Log], t); err != nil {
				return err
			}
		}
	}
	return nil
}

func withinLog(log *root.TransparencyLog, t time.Time) error {
	if log == nil {
		return badEntry("an entry in a log of the trusted root", "one in another", nil)
	}
	if t.Before(log.ValidityPeriodStart) || (!log.ValidityPeriodEnd.IsZero() && t.After(log.ValidityPeriodEnd)) {
		return badEntry("an entry integrated while the log's key was valid", second(t), nil)
	}
	return nil
}

// checkBody binds the entry to the signature, the key and the payload (TRUST
// R25; CVE-2022-23649, CVE-2026-22703): all three, for an entry of something
// else by the same key proves nothing.
func checkBody(h holder, raw, payload, signature []byte) error {
	var b logBody
	if err := evidence.DecodeJSON(raw, &b); err != nil {
		return badEntry("a log entry's body", "", err)
	}
	if (b.Kind != "hashedrekord" && b.Kind != "rekord") || b.APIVersion != "0.0.1" {
		return badEntry("an entry of kind hashedrekord or rekord, version 0.0.1", quote(b.Kind+" "+b.APIVersion), nil)
	}
	if !bytes.Equal(b.Spec.Signature.Content, signature) {
		return anotherEntry("signature", nil)
	}
	if err := h.checkLogged(b.Spec.Signature.PublicKey.Content); err != nil {
		return err
	}
	return checkLoggedHash(b.Spec.Data.Hash.Algorithm, b.Spec.Data.Hash.Value, payload)
}

// checkLogged checks that an entry names the holder's key, or the certificate if
// it names one: another of the same key is another's word.
func (h holder) checkLogged(text []byte) error {
	key, certificate, err := keyInEntry(text)
	if err != nil {
		return badEntry("an entry with a public key or certificate", "", err)
	}
	return h.named(key, certificate)
}

// named checks that the key and the certificate, if any, are the holder's.
func (h holder) named(key crypto.PublicKey, certificate *x509.Certificate) error {
	if certificate != nil && h.certificate != nil && !certificate.Equal(h.certificate) {
		return anotherEntry("certificate", nil)
	}
	if !h.key.equal(key) {
		return anotherEntry("key", nil)
	}
	return nil
}

func checkLoggedHash(algorithm, value string, payload []byte) error {
	hash := hashNamed(algorithm)
	if hash == 0 {
		return badEntry("an entry with a SHA-2 hash", quote(algorithm), nil)
	}
	digest, err := hex.DecodeString(value)
	if err != nil {
		return badEntry("an entry with a hash", "", err)
	}
	if !bytes.Equal(digest, sum(hash, payload)) {
		return anotherEntry("payload", nil)
	}
	return nil
}

// keyInEntry reads the key of an entry, and the certificate that holds it if
// there is one. cosign logs the certificate in the key's place when it has one.
func keyInEntry(text []byte) (crypto.PublicKey, *x509.Certificate, error) {
	block, rest := pem.Decode(text)
	if block == nil || len(bytes.TrimSpace(rest)) > 0 { // of two blocks, two readers may read two
		return nil, nil, errors.New("expected one PEM block")
	}
	if block.Type == "CERTIFICATE" {
		c, err := parseCertificate(block.Bytes)
		if err != nil {
			return nil, nil, err
		}
		return c.PublicKey, c, nil
	}
	key, err := parseBlock(block)
	if err != nil {
		return nil, nil, fmt.Errorf("public key: %w", err)
	}
	return key, nil, nil
}
