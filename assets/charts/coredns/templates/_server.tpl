{{/* What a server is, wherever it runs. */}}
{{- define "coredns.server" -}}
serviceAccountName: coredns
priorityClassName: system-cluster-critical
dnsPolicy: Default
containers:
  - name: coredns
    image: {{ .Values.image }}
    imagePullPolicy: IfNotPresent
    args: [-conf, /etc/coredns/Corefile]
    ports:
      - {name: dns, containerPort: 53, protocol: UDP}
      - {name: dns-tcp, containerPort: 53, protocol: TCP}
      - {name: metrics, containerPort: 9153, protocol: TCP}
    livenessProbe:
      httpGet: {path: /health, port: 8080}
      initialDelaySeconds: 60
      timeoutSeconds: 5
      failureThreshold: 5
    readinessProbe:
      httpGet: {path: /ready, port: 8181}
      periodSeconds: 5
      timeoutSeconds: 5
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities:
        drop: [ALL]
        add: [NET_BIND_SERVICE]
    resources:
      {{- toYaml .Values.resources | nindent 6 }}
    volumeMounts:
      - {name: config, mountPath: /etc/coredns, readOnly: true}
volumes:
  - name: config
    configMap:
      name: coredns
      items: [{key: Corefile, path: Corefile}]
{{- end }}
