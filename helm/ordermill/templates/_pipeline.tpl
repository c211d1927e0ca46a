{{/*
A pipeline as it will run: the settings of `defaults` under its own, and what its file says of its group, its topics
and its drain time, so that nothing of this is written twice.

ordermill.pipeline (root, name) gives YAML:
  object     the name of its Deployment and of all that belongs to it
  group, topics, offsetReset, drain (seconds), grace (seconds), sum (of the file), and each key of `defaults`
*/}}
{{- define "ordermill.pipeline" -}}
{{- $root := .root -}}
{{- $name := .name -}}
{{- $at := printf "pipelines.%s" $name -}}
{{- $entry := index $root.Values.pipelines $name -}}
{{- $file := fromYaml $entry.file -}}
{{- if hasKey $file "Error" -}}
{{- fail (printf "%s.file is not YAML: %s" $at $file.Error) -}}
{{- end -}}
{{- if ne (toString $file.name) $name -}}
{{- fail (printf "%s.file says `name: %v`: a pipeline stands under its own name; write pipelines.%v" $at $file.name $file.name) -}}
{{- end -}}
{{- $source := $file.source | default dict -}}
{{- $topics := $source.topics | default (list $source.topic) -}}
{{- range $topics -}}
{{- if not (kindIs "string" .) -}}
{{- fail (printf "%s.file: `source.topic` must be text, and is %v; write its name in quotes" $at .) -}}
{{- end -}}
{{- end -}}
{{- $limits := $file.limits | default dict -}}
{{- $drain := include "ordermill.seconds" (dict "at" (printf "%s.file: limits.drain" $at) "duration" ($limits.drain | default "20s")) | int -}}
{{- $p := mergeOverwrite (deepCopy $root.Values.defaults) (omit (deepCopy $entry) "file") -}}
{{- $grace := add $drain 10 -}}
{{- if not (kindIs "invalid" $p.terminationGracePeriodSeconds) -}}
{{- $grace = int $p.terminationGracePeriodSeconds -}}
{{- end -}}
{{- if le (int $grace) $drain -}}
{{- fail (printf "%s: terminationGracePeriodSeconds is %d, and its file's limits.drain %d s: a stop would be killed before it has drained; leave the value out (then it is drain + 10), or make it greater" $at (int $grace) $drain) -}}
{{- end -}}
{{- if and $p.keda.enabled $p.autoscaling.enabled -}}
{{- fail (printf "%s: keda and autoscaling are both enabled, and would scale against each other; choose one" $at) -}}
{{- end -}}
{{- $object := printf "%s-%s" (include "ordermill.fullname" $root) $name -}}
{{- $most := ternary 54 63 $p.keda.enabled -}}
{{- if gt (len $object) $most -}}
{{- fail (printf "%s: the name %s has more than %d characters; set a shorter fullnameOverride" $at $object $most) -}}
{{- end -}}
{{- if not (dig "kafka" "bootstrap" "" $root.Values.config) -}}
{{- fail "config.kafka.bootstrap is missing: the brokers to begin with, as host:port" -}}
{{- end -}}
{{- $known := dict
  "object" $object
  "group" (toString ($source.group | default (printf "ordermill.%s" $name)))
  "topics" $topics
  "offsetReset" (ternary "latest" "earliest" (eq (toString $source.from) "latest"))
  "drain" $drain
  "grace" (int $grace)
  "sum" (sha256sum $entry.file) -}}
{{- toYaml (mergeOverwrite $p $known) -}}
{{- end -}}

{{/* A duration such as 1m30s in whole seconds, rounded up: (at, duration). */}}
{{- define "ordermill.seconds" -}}
{{- $duration := toString .duration -}}
{{- if not (regexMatch "^([0-9]+(d|h|m|s|ms))+$" $duration) -}}
{{- fail (printf "%s is no duration: %s; write it with its unit, such as 30s" .at $duration) -}}
{{- end -}}
{{- $of := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 "d" 86400000 -}}
{{- $ms := 0 -}}
{{- range regexFindAll "[0-9]+(ms|s|m|h|d)" $duration -1 -}}
{{- $ms = add $ms (mul (regexFind "^[0-9]+" . | atoi) (get $of (regexFind "[a-z]+$" .))) -}}
{{- end -}}
{{- div (add $ms 999) 1000 -}}
{{- end -}}

{{/* The labels by which a pipeline's pods are known: (root, name). */}}
{{- define "ordermill.pipelineSelector" -}}
{{ include "ordermill.selectorLabels" .root }}
app.kubernetes.io/component: {{ .name | quote }}
{{- end -}}

{{- define "ordermill.pipelineLabels" -}}
{{ include "ordermill.pipelineSelector" . }}
{{ include "ordermill.commonLabels" .root }}
{{- end -}}
