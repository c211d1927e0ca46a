{{/* Where secrets come from: the places that `config` names, and the existing Secrets that feed them. */}}

{{/*
The Secret behind a place of `config`: (root, place). The place is { env: NAME }, { file: PATH } or a path; gives
{ name, key } as JSON, or {} if the chart does not know it.
*/}}
{{- define "ordermill.secretOf" -}}
{{- $found := dict -}}
{{- $place := .place -}}
{{- if kindIs "map" $place -}}
{{- with $place.env -}}
{{- with get $.root.Values.secrets.env . -}}
{{- $found = dict "name" .secret "key" .key -}}
{{- end -}}
{{- end -}}
{{- $place = $place.file -}}
{{- end -}}
{{- if and (kindIs "string" $place) (regexMatch "^/etc/ordermill-secrets/[^/]+/[^/]+$" (toString $place)) -}}
{{- $parts := splitList "/" $place -}}
{{- if has (index $parts 3) $.root.Values.secrets.files -}}
{{- $found = dict "name" (index $parts 3) "key" (index $parts 4) -}}
{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{/* Each { env: NAME } and { file: PATH } in a value, one a line: `env NAME` or `file PATH`. */}}
{{- define "ordermill.places" -}}
{{- if kindIs "map" . -}}
{{- if and (eq (len .) 1) (or (kindIs "string" .env) (kindIs "string" .file)) -}}
{{- range $kind, $at := . }}{{ printf "%s %s\n" $kind $at }}{{ end -}}
{{- else -}}
{{- range . }}{{ include "ordermill.places" . }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The places in `config` that nothing in the values feeds, one a line. */}}
{{- define "ordermill.unfed" -}}
{{- $root := . -}}
{{- $others := list -}}
{{- range prepend (values .Values.pipelines) .Values.defaults -}}
{{- range .extraEnv }}{{ $others = append $others .name }}{{ end -}}
{{- end -}}
{{- range splitList "\n" (include "ordermill.places" .Values.config | trim) -}}
{{- if . -}}
{{- $words := splitList " " . -}}
{{- $place := dict (first $words) (rest $words | join " ") -}}
{{- $fed := ne (include "ordermill.secretOf" (dict "root" $root "place" $place)) "{}" -}}
{{- $own := or (has (last $words) $others) (and $place.file (not (hasPrefix "/etc/ordermill-secrets/" $place.file))) -}}
{{- if not (or $fed $own) }}{{ printf "%s\n" . }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
