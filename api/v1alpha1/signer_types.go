package v1alpha1

// Signer is a party that may have signed. Exactly one of Sigstore, Notation and
// AtLeast MUST be set.
//
// +kubebuilder:validation:XValidation:rule="[has(self.sigstore), has(self.notation), has(self.atLeast)].exists_one(x, x)",message="exactly one of sigstore, notation and atLeast"
type Signer struct {
	// Name is how Require and groups name the signer; it appears in messages.
	// Lower-case letters, digits and hyphens, unique within the policy.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`
	Name string `json:"name"`

	// Sigstore is a party that signs with cosign or another Sigstore client.
	//
	// +optional
	Sigstore *SigstoreSigner `json:"sigstore,omitempty"`

	// Notation is a party that signs with a Notary Project client.
	//
	// +optional
	Notation *NotationSigner `json:"notation,omitempty"`

	// AtLeast makes a group of signers count as one.
	//
	// +optional
	AtLeast *SignerGroup `json:"atLeast,omitempty"`
}

// SignerGroup holds if Count of its members have signed, by distinct
// identities: one signature fills one slot (TRUST R28).
type SignerGroup struct {
	// Count is at least 1 and at most the number of members.
	//
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	Count int32 `json:"count"`

	// Of are the names of the members. A member may be a group; a group MUST NOT
	// contain itself, directly or through others.
	//
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +listType=set
	Of []string `json:"of"`
}

// SigstoreSigner is a key or a keyless identity. Exactly one of Key and Keyless
// MUST be set.
//
// +kubebuilder:validation:XValidation:rule="has(self.key) != has(self.keyless)",message="exactly one of key and keyless"
type SigstoreSigner struct {
	// Key is a public key.
	//
	// +optional
	Key *PublicKey `json:"key,omitempty"`

	// Keyless is an identity in a short-lived certificate. Not supported yet.
	//
	// +optional
	Keyless *Keyless `json:"keyless,omitempty"`

	// TrustedRoot is a Sigstore trusted_root.json that replaces the operator's
	// for this signer. Not supported yet.
	//
	// +optional
	TrustedRoot *Material `json:"trustedRoot,omitempty"`

	// TransparencyLog says whether a signature needs an entry in a transparency
	// log that the trusted root names. Default Required (TRUST R25); Ignored is a
	// weakening.
	//
	// +optional
	// +kubebuilder:default=Required
	TransparencyLog TransparencyLog `json:"transparencyLog,omitempty"`

	// Timestamps says whether a signature needs a signed timestamp. Not
	// supported yet.
	//
	// +optional
	Timestamps string `json:"timestamps,omitempty"`

	// SignedReference compares the image reference that was signed with the
	// image's repository: Any (default) compares nothing, MatchRepository asks
	// for the image's own repository, and any other value is the repository that
	// is asked for, such as ghcr.io/acme/app (TRUST R33).
	//
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	SignedReference string `json:"signedReference,omitempty"`
}

// The words of SignedReference.
const (
	SignedReferenceAny             = "Any"
	SignedReferenceMatchRepository = "MatchRepository"
)

// TransparencyLog says whether a log entry is needed.
//
// +kubebuilder:validation:Enum=Required;Ignored
type TransparencyLog string

// The choices.
const (
	TransparencyLogRequired TransparencyLog = "Required"
	TransparencyLogIgnored  TransparencyLog = "Ignored"
)

// PublicKey is a public key and how it signs. Exactly one of PEM, SecretRef,
// ConfigMapRef, File and KMS MUST be set.
//
// +kubebuilder:validation:XValidation:rule="[has(self.pem), has(self.secretRef), has(self.configMapRef), has(self.file), has(self.kms)].exists_one(x, x)",message="exactly one of pem, secretRef, configMapRef, file and kms"
type PublicKey struct {
	Material `json:",inline"`

	// KMS names a key that a key management service holds. Not supported yet,
	// and never for a VerificationPolicy (TRUST R17).
	//
	// +optional
	KMS string `json:"kms,omitempty"`

	// Hash is the only hash with which the key's signatures are accepted: sha256,
	// sha384 or sha512. Default: what cosign signs with for such a key. None is
	// accepted for an Ed25519 key.
	//
	// +optional
	Hash Hash `json:"hash,omitempty"`
}

// Hash is a hash algorithm.
//
// +kubebuilder:validation:Enum=sha256;sha384;sha512
type Hash string

// The hashes.
const (
	HashSHA256 Hash = "sha256"
	HashSHA384 Hash = "sha384"
	HashSHA512 Hash = "sha512"
)

// Material is where keys and certificates are found. Exactly one field MUST be
// set. What it names is read when the policy is loaded; when it changes, the
// policy is compiled anew.
type Material struct {
	// PEM is the material itself.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1048576
	PEM string `json:"pem,omitempty"`

	// SecretRef names an entry of a Secret.
	//
	// +optional
	SecretRef *ObjectEntry `json:"secretRef,omitempty"`

	// ConfigMapRef names an entry of a ConfigMap.
	//
	// +optional
	ConfigMapRef *ObjectEntry `json:"configMapRef,omitempty"`

	// File is a path on the machine that verifies. A relative path begins at the
	// directory of the policy's own file. Never for a VerificationPolicy
	// (TRUST R17).
	//
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	File string `json:"file,omitempty"`
}

// ObjectEntry names an entry of a Secret or ConfigMap.
type ObjectEntry struct {
	// Namespace is required in a ClusterVerificationPolicy. In a
	// VerificationPolicy it is the policy's own, and no other is accepted
	// (TRUST R17).
	//
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`

	// Name is the object's name.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// Key is the entry's name. Default cosign.pub for a key, as cosign writes
	// it, and ca.crt for certificates.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key,omitempty"`
}

// Keyless is an identity in a certificate of a Sigstore CA (TRUST R27). Not
// supported yet.
type Keyless struct {
	// +optional
	Issuer string `json:"issuer,omitempty"`
	// +optional
	IssuerRegExp string `json:"issuerRegExp,omitempty"`
	// +optional
	Subject string `json:"subject,omitempty"`
	// +optional
	SubjectRegExp string `json:"subjectRegExp,omitempty"`
	// SourceRepository is the repository whose workflow may sign, if it is not
	// the subject's own.
	//
	// +optional
	SourceRepository string `json:"sourceRepository,omitempty"`
	// AnySubject admits a pattern that matches every identity of the issuer
	// (TRUST R14).
	//
	// +optional
	AnySubject bool `json:"anySubject,omitempty"`
	// CTLog is Required (default) or Ignored.
	//
	// +optional
	CTLog string `json:"ctLog,omitempty"`
}
