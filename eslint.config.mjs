import tseslint from 'typescript-eslint';
import rooms from './scripts/check/rooms.mjs';

export default tseslint.config(
  {
    ignores: [
      'lib/transports/rpc/wire/generated',
      'build',
      'dist',
      'out',
      'prebuilds',
      'coverage',
      'node_modules',
      '.cache',
    ],
  },
  ...tseslint.configs.recommended,
  {
    rules: {
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      'no-only-tests': 'off',
      eqeqeq: ['error', 'always'],
    },
  },
  { files: ['lib/**/*.ts'], plugins: { rooms }, rules: { 'rooms/direction': 'error' } },
  { files: ['**/*.cjs'], rules: { '@typescript-eslint/no-require-imports': 'off' } },
);
