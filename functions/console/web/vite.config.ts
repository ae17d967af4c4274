import { createHash } from 'node:crypto'
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { join } from 'node:path'
import react from '@vitejs/plugin-react'
import { defineConfig, type Plugin } from 'vite'

const root = fileURLToPath(new URL('.', import.meta.url))
const out = join(root, '../page')

/** What the built page depends on. The Go test in functions/console lists the same. */
const sources = ['index.html', 'package.json', 'package-lock.json', 'vite.config.ts', 'tsconfig.json', 'src', 'mlapi/package.json', 'mlapi/src']
const typesOnly = 'mlapi/src/schema.ts'

function files(path: string): string[] {
  const full = join(root, path)
  if (statSync(full).isFile()) return [path]
  return readdirSync(full).flatMap((name) => files(`${path}/${name}`))
}

/** inlineRuntime puts the bundler's few helper lines into the first view's file, where they were a request of their own. */
function inlineRuntime() {
  const assets = join(out, 'assets')
  const names = readdirSync(assets)
  const [runtime, firstFile] = ['rolldown-runtime-', 'first-'].map((start) => names.find((name) => name.startsWith(start)))
  if (!runtime || !firstFile) return
  const [, body = '', exported = ''] = /^(.*?)export\{(.*?)\};?\s*$/s.exec(readFileSync(join(assets, runtime), 'utf8')) ?? []
  const given = exported.split(',').map((one) => one.trim().split(' as ')).map(([own, name]) => `${name ?? own}:${own}`).join(',')
  const text = readFileSync(join(assets, firstFile), 'utf8')
  const from = new RegExp(`import\\{([^}]*)\\}from"\\./${runtime.replaceAll('.', '\\.')}";?`)
  const taken = from.exec(text)?.[1]?.replaceAll(' as ', ':')
  if (!taken || !body) throw new Error('the bundler writes its runtime otherwise than expected')
  writeFileSync(join(assets, firstFile), text.replace(from, () => `const{${taken}}=(()=>{${body}return{${given}}})();`))
  const index = join(out, 'index.html')
  writeFileSync(index, readFileSync(index, 'utf8').replace(new RegExp(`\\s*<script[^>]*${runtime}"></script>`), ''))
}

/** stamp records which sources the page was built from, so that a test sees a stale one without Node. */
const stamp: Plugin = {
  name: 'stamp',
  closeBundle() {
    inlineRuntime()
    const hash = createHash('sha256')
    for (const path of sources.flatMap(files).filter((one) => one !== typesOnly).sort()) {
      hash.update(`${path}\0${createHash('sha256').update(readFileSync(join(root, path))).digest('hex')}\n`)
    }
    writeFileSync(join(out, 'sources.sha256'), `${hash.digest('hex')}\n`)
  },
}

const first = new RegExp([
  'node_modules/(react|react-dom|scheduler|wouter|regexparam|use-sync-external-store|@tanstack/(react-query|query-core)|openapi-fetch)/',
  'mlapi/src/', 'src/(main|style|api/|auth/|shell/|views/home|parts/(basic|dialog|format|address))', 'vite/preload-helper', 'rolldown/runtime',
].join('|'))

export default defineConfig({
  root,
  base: '/console/',
  plugins: [react(), stamp],
  resolve: { alias: { '@geminivideo/ml-api': join(root, 'mlapi/src/index.ts') } },
  build: {
    outDir: out,
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: {
      // What the first view needs is one file: each further one is another request before anything is seen.
      output: { codeSplitting: { groups: [{ name: 'first', test: first }] } },
    },
  },
})
