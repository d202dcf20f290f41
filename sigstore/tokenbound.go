package sigstore

import (
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"

	"github.com/digitorus/pkcs7"
	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

const (
	// maxToken bounds a timestamp. With its authority's certificates it has some
	// 6 KiB. Its readers take time and stack by its size (TRUST R1).
	maxToken = 64 << 10
	// maxTokenDepth bounds its nesting. A token with certificates has some 20
	// levels; its readers recurse without end, and no stack overflow can be
	// recovered from.
	maxTokenDepth = 32
	// maxTokenCertificates and maxTokenSigners bound what its readers verify.
	maxTokenCertificates, maxTokenSigners = 8, 4
	// maxTokenRSA bounds the keys of its certificates, in bits. Authorities use up
	// to 4096; a check takes time by the cube of it.
	maxTokenRSA = 8192
)

// checkToken refuses a timestamp that would keep its readers busy, before one of
// them sees it: they verify with the keys that come in it.
func checkToken(token []byte) error {
	if n := len(token); n > maxToken {
		return tooMany("bytes of a timestamp", maxToken, n)
	}
	if err := checkDER(token, 0); err != nil {
		return err
	}
	// RFC 3161 §2.4.2: a status, and the token.
	input := cryptobyte.String(token)
	var response, status cryptobyte.String
	if !input.ReadASN1(&response, cbasn1.SEQUENCE) || !response.ReadASN1(&status, cbasn1.SEQUENCE) {
		return errors.New("expected a response of a timestamp authority")
	}
	if response.Empty() {
		return errors.New("expected a timestamp, got a response without")
	}
	signed, err := pkcs7.Parse(response)
	if err != nil {
		return fmt.Errorf("parse timestamp: %w", err)
	}
	if n := len(signed.Certificates); n > maxTokenCertificates {
		return tooMany("certificates of a timestamp", maxTokenCertificates, n)
	}
	if n := len(signed.Signers); n > maxTokenSigners {
		return tooMany("signers of a timestamp", maxTokenSigners, n)
	}
	for _, c := range signed.Certificates {
		if err := checkCost(c.PublicKey); err != nil {
			return err
		}
	}
	return nil
}

func checkCost(key crypto.PublicKey) error {
	k, is := key.(*rsa.PublicKey)
	if is && (k.N.BitLen() > maxTokenRSA || k.E > 1<<31-1) {
		return tooMany("bits of an RSA key", maxTokenRSA, k.N.BitLen())
	}
	return nil
}

// checkDER walks the tags and lengths of definite length, as DER has them (X.690
// §10.1).
func checkDER(data []byte, depth int) error {
	if depth == maxTokenDepth {
		return tooMany("levels of a timestamp", maxTokenDepth, depth+1)
	}
	for len(data) > 0 {
		tag := data[0]
		at := 1
		if tag&0x1f == 0x1f { // a tag of several bytes
			for at < len(data) && data[at]&0x80 != 0 {
				at++
			}
			at++
		}
		if at >= len(data) {
			return errors.New("expected a timestamp in DER, got one that ends early")
		}
		length, more, ok := lengthOf(data[at:])
		at += more
		if !ok || length > len(data)-at {
			return errors.New("expected a timestamp in DER, got a length that does not fit")
		}
		if tag&0x20 != 0 {
			if err := checkDER(data[at:at+length], depth+1); err != nil {
				return err
			}
		}
		data = data[at+length:]
	}
	return nil
}

// lengthOf reads a length and says how many bytes it takes.
func lengthOf(data []byte) (length, size int, ok bool) {
	first := data[0]
	if first < 0x80 {
		return int(first), 1, true
	}
	size = int(first & 0x7f)
	if size == 0 || size > 3 || len(data) <= size { // indefinite, or beyond maxToken
		return 0, 0, false
	}
	for _, b := range data[1 : 1+size] {
		length = length<<8 | int(b)
	}
	return length, size + 1, true
}
