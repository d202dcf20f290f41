package testca

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"time"
)

// pkcs9 returns an object identifier below that of PKCS #9.
func pkcs9(numbers ...int) asn1.ObjectIdentifier {
	return append(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9}, numbers...)
}

// timeStampInfo is RFC 3161 §2.4.2, TSTInfo.
type timeStampInfo struct {
	Version int
	Policy  asn1.ObjectIdentifier
	Imprint struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}
	Serial *big.Int
	Time   time.Time `asn1:"generalized"`
}

// signedData is RFC 5652 §5.1 with one signer.
type signedData struct {
	Version    int
	Algorithms []pkix.AlgorithmIdentifier `asn1:"set"`
	Content    struct {
		Type    asn1.ObjectIdentifier
		Content []byte `asn1:"explicit,tag:0"`
	}
	Certificates asn1.RawValue `asn1:"optional"`
	Signers      []signerInfo  `asn1:"set"`
}

type signerInfo struct {
	Version int
	Signer  struct {
		Issuer asn1.RawValue
		Serial *big.Int
	}
	DigestAlgorithm    pkix.AlgorithmIdentifier
	Attributes         asn1.RawValue
	SignatureAlgorithm pkix.AlgorithmIdentifier
	Signature          []byte
}

// attribute is RFC 5652 §5.3, Attribute, with one value.
type attribute struct {
	Type   asn1.ObjectIdentifier
	Values []asn1.RawValue `asn1:"set"`
}

// respond returns a response whose token holds a signature of SHA-256 by the
// authority's P-256 key.
func (t timestamper) respond(message []byte, o TimestampOptions) ([]byte, error) {
	if o.Rejected {
		const rejection = 2
		return asn1.Marshal(struct{ Status struct{ Status int } }{struct{ Status int }{rejection}})
	}
	content, err := t.info(message, o)
	if err != nil {
		return nil, err
	}
	sha256 := pkix.AlgorithmIdentifier{Algorithm: hashOIDs()[crypto.SHA256]}
	signer := signerInfo{Version: 1, DigestAlgorithm: sha256, SignatureAlgorithm: pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}}}
	signer.Signer.Issuer, signer.Signer.Serial = asn1.RawValue{FullBytes: t.certificate.RawIssuer}, t.certificate.SerialNumber
	attributes, err := t.attributes(content, o)
	if err != nil {
		return nil, err
	}
	key := t.key
	if o.Forged {
		key = t.usurper
	}
	// What is signed has the tag of a set, what is written that of the member.
	if signer.Signature, err = key.Sign(attributes, crypto.SHA256); err != nil {
		return nil, fmt.Errorf("sign a timestamp: %w", err)
	}
	signer.Attributes = asn1.RawValue{FullBytes: append([]byte{0xa0}, attributes[1:]...)}

	data := signedData{Version: 3, Algorithms: []pkix.AlgorithmIdentifier{sha256}, Signers: []signerInfo{signer}}
	data.Content.Type, data.Content.Content = pkcs9(16, 1, 4), content
	if o.BreakTime {
		o.Time = o.Time.Add(time.Hour)
		if data.Content.Content, err = t.info(message, o); err != nil {
			return nil, err
		}
	}
	if !o.NoCertificates {
		var all []byte
		for _, c := range t.chain() {
			all = append(all, c.Raw...)
		}
		data.Certificates = asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: all}
	}
	type contentInfo struct {
		Type    asn1.ObjectIdentifier
		Content signedData `asn1:"explicit,tag:0"`
	}
	response, err := asn1.Marshal(struct {
		Status struct{ Status int }
		Token  contentInfo
	}{Token: contentInfo{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}, data}})
	if err != nil {
		return nil, fmt.Errorf("write a timestamp: %w", err)
	}
	return response, nil
}

func (t timestamper) info(message []byte, o TimestampOptions) ([]byte, error) {
	h := o.Hash.New()
	h.Write(message)
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("make a serial number: %w", err)
	}
	info := timeStampInfo{Version: 1, Policy: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 2}, Serial: serial, Time: o.Time.UTC().Truncate(time.Second)}
	info.Imprint.Algorithm = pkix.AlgorithmIdentifier{Algorithm: hashOIDs()[o.Hash], Parameters: asn1.NullRawValue}
	info.Imprint.Digest = h.Sum(nil)
	raw, err := asn1.Marshal(info)
	if err != nil {
		return nil, fmt.Errorf("write a timestamp: %w", err)
	}
	return raw, nil
}

// attributes returns what the signature is over (RFC 5652 §5.4; RFC 5816 for
// the signing certificate).
func (t timestamper) attributes(content []byte, o TimestampOptions) ([]byte, error) {
	type certificateID struct{ Hash []byte }
	type signingCertificate struct{ Certificates []certificateID }
	var attributes []attribute
	for _, a := range []struct {
		kind  asn1.ObjectIdentifier
		value any
	}{
		{pkcs9(3), pkcs9(16, 1, 4)},
		{pkcs9(4), sum(content)},
		{pkcs9(5), o.Time.UTC().Truncate(time.Second)},
		{pkcs9(16, 2, 47), signingCertificate{[]certificateID{{sum(t.certificate.Raw)}}}},
	} {
		raw, err := asn1.Marshal(a.value)
		if err != nil {
			return nil, fmt.Errorf("write an attribute: %w", err)
		}
		attributes = append(attributes, attribute{a.kind, []asn1.RawValue{{FullBytes: bytes.Clone(raw)}}})
	}
	raw, err := asn1.MarshalWithParams(attributes, "set")
	if err != nil {
		return nil, fmt.Errorf("write attributes: %w", err)
	}
	return raw, nil
}

func hashOIDs() map[crypto.Hash]asn1.ObjectIdentifier {
	return map[crypto.Hash]asn1.ObjectIdentifier{
		crypto.SHA1:   {1, 3, 14, 3, 2, 26},
		crypto.SHA256: {2, 16, 840, 1, 101, 3, 4, 2, 1},
		crypto.SHA384: {2, 16, 840, 1, 101, 3, 4, 2, 2},
		crypto.SHA512: {2, 16, 840, 1, 101, 3, 4, 2, 3},
	}
}
