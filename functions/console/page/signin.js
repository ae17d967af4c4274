// The sign-in box: the API takes a Supabase access token and nothing else.

import { h } from './dom.js';
import { action, field, form, view } from './parts.js';
import { localToken, signIn } from './session.js';

export function signInView(reason, done) {
  const token = h('textarea', { required: true, spellcheck: 'false', autocomplete: 'off', placeholder: 'eyJhbGciOi…' });
  const enter = action('Sign in', () => { signIn(token.value); done(); }, { primary: true, submit: true, busy: 'Signing in …' });
  const local = h('div');
  localToken().then((offered) => {
    if (offered) local.append(h('button', { onclick: () => { signIn(offered); done(); } }, 'Use the local system’s session'));
  });
  return h('div', { class: 'signin' }, view('Sign in', null,
    reason && h('p', { class: 'notice warn', role: 'alert' }, reason),
    h('section', { class: 'sheet' },
      form({ class: 'stack' }, enter, field('Supabase access token', token), enter),
      h('p', { class: 'small soft' }, 'Your administrator or your Supabase sign-in gives you one. It says which tenant you belong to and what you may do; it stays in this tab and is gone when you close it.'),
      local)));
}
